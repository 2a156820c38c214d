/* core/admit.h: slots, the pending queue, and jobs outside the limit. */
#include "check.h"

#include "fake_host.h"

static struct fake f;

static void check_counts(uint64_t active, uint64_t pending, uint64_t live)
{
  uj_loop_check(&f.loop);
  CHECK_EQ(f.sched.nactive, active);
  CHECK_EQ(f.sched.npending, pending);
  CHECK_EQ(f.sched.nlive, live);
}

static struct fake_job *shield(const char *name)
{
  struct fake_job *job = JOB(&f, name, PARK(NULL));
  CHECK_EQ(uj_sched_shield(&f.sched, &job->job), UJ_OK);
  uj_loop_check(&f.loop);
  return job;
}

static void keeps_its_limits(void)
{
  struct fake_job *full;
  fake_init_limits(&f, 2, 2);
  SPAWNED(&f, "a", YIELD);
  SPAWNED(&f, "b", YIELD);
  CHECK_EQ(SPAWNED(&f, "c", YIELD)->job.state, UJ_JOB_PENDING);
  SPAWNED(&f, "d", YIELD);
  check_counts(2, 2, 4);
  full = JOB(&f, "e", YIELD);
  CHECK_EQ(uj_sched_spawn(&f.sched, &full->job), UJ_EFULL);
  CHECK_EQ(full->job.state, UJ_JOB_NEW);
  CHECK(uj_link_empty(&full->job.queue) && uj_link_empty(&full->job.member));
  check_counts(2, 2, 4);
  free(full);
  fake_turn(&f);
  LOG(&f, "a b");
  fake_settle(&f);
  LOG(&f, "a:ok a=done b:ok b=done c d c:ok c=done d:ok d=done");
  check_counts(0, 0, 0);
  fake_term(&f);
}

static void promotes_in_order(void)
{
  struct fake_job *a, *b;
  fake_init_limits(&f, 2, 9);
  a = SPAWNED(&f, "a", PARK(NULL));
  b = SPAWNED(&f, "b", PARK(NULL));
  SPAWNED(&f, "c", PARK(NULL));
  SPAWNED(&f, "d", YIELD);
  SPAWNED(&f, "e", YIELD);
  fake_turn(&f);
  uj_job_wake(&b->job, UJ_WAKE_OK);
  fake_turn(&f);
  LOG(&f, "a b b:ok b=done");
  check_counts(2, 2, 4);
  uj_job_wake(&a->job, UJ_WAKE_OK);
  fake_settle(&f);
  LOG(&f, "c a:ok a=done d d:ok d=done e e:ok e=done");
  fake_term(&f);
}

static void dropping_pending_keeps_the_bounds(void)
{
  struct fake_job *c, *d;
  fake_init_limits(&f, 2, 3);
  SPAWNED(&f, "a", YIELD);
  SPAWNED(&f, "b", YIELD);
  c = SPAWNED(&f, "c", YIELD);
  d = SPAWNED(&f, "d", YIELD);
  SPAWNED(&f, "e", YIELD);
  uj_job_cancel(&d->job);
  check_counts(2, 2, 4);
  uj_job_close(&c->job, 0);
  check_counts(2, 1, 3);
  SPAWNED(&f, "g", YIELD);
  LOG(&f, "d=cancelled c=cancelled");
  fake_settle(&f);
  LOG(&f, "a b a:ok a=done b:ok b=done e g e:ok e=done g:ok g=done");
  fake_term(&f);
}

static void an_unstarted_job_gives_its_slot_back(void)
{
  struct fake_job *a;
  fake_init_limits(&f, 1, 3);
  a = SPAWNED(&f, "a", YIELD);
  SPAWNED(&f, "b", PARK(NULL));
  SPAWNED(&f, "c", PARK(NULL));
  uj_job_cancel(&a->job);
  check_counts(1, 1, 2);
  fake_turn(&f);
  LOG(&f, "a=cancelled b");
  fake_term(&f);
}

/* However a job ends, the next one gets its slot. */
static void every_end_frees_a_slot(void)
{
  struct fake_job *c, *d;
  fake_init_limits(&f, 1, 9);
  SPAWNED(&f, "a", END(DONE));
  SPAWNED(&f, "b", END(FAILED));
  c = SPAWNED(&f, "c", PARK(NULL), END(CANCELLED));
  d = SPAWNED(&f, "d", PARK(NULL));
  d->job.protect = true;
  SPAWNED(&f, "e", END(DONE));
  for (int turn = 0; turn < 3; turn++)
    fake_turn(&f);
  uj_job_cancel(&c->job);
  fake_settle(&f);
  LOG(&f, "a a=done b b=failed c c:cancelled c=cancelled d");
  uj_job_close(&d->job, 5 * MS);
  fake_advance(&f, 5 * MS);
  fake_turn(&f);
  LOG(&f, "d! d=killed e e=done");
  fake_term(&f);
}

static void may_have_no_limit(void)
{
  const uint64_t count = 20000;
  fake_init_limits(&f, UJ_UNLIMITED, UJ_UNLIMITED);
  for (uint64_t i = 0; i < count; i++) {
    struct fake_job *job = JOB(&f, "a", PARK(NULL));
    CHECK_EQ(uj_sched_spawn(&f.sched, &job->job), UJ_OK);
  }
  check_counts(count, 0, count);
  fake_turn(&f);
  check_counts(count, 0, count);
  fake_term(&f);
  check_counts(0, 0, 0);
}

static void may_have_no_pending_limit(void)
{
  const uint64_t count = 1000;
  fake_init_limits(&f, 1, UJ_UNLIMITED);
  for (uint64_t i = 0; i < count; i++) {
    struct fake_job *job = JOB(&f, "a", END(DONE));
    CHECK_EQ(uj_sched_spawn(&f.sched, &job->job), UJ_OK);
  }
  check_counts(1, count - 1, count);
  fake_settle(&f);
  check_counts(0, 0, 0);
  fake_term(&f);
}

static void may_have_no_queue(void)
{
  struct fake_job *full;
  fake_init_limits(&f, 1, 0);
  SPAWNED(&f, "a", YIELD);
  full = JOB(&f, "b", YIELD);
  CHECK_EQ(uj_sched_spawn(&f.sched, &full->job), UJ_EFULL);
  check_counts(1, 0, 1);
  fake_settle(&f);
  CHECK_EQ(uj_sched_spawn(&f.sched, &full->job), UJ_OK);
  fake_settle(&f);
  LOG(&f, "a a:ok a=done b b:ok b=done");
  fake_term(&f);
}

static void shields_run_outside_the_limit(void)
{
  struct fake_job *s, *t;
  fake_init_limits(&f, 1, 1);
  SPAWNED(&f, "a", PARK(NULL));
  SPAWNED(&f, "b", PARK(NULL));
  s = shield("s");
  t = shield("t");
  check_counts(1, 1, 4);
  fake_turn(&f);
  LOG(&f, "a s t");
  uj_job_wake(&s->job, UJ_WAKE_OK);
  fake_turn(&f);
  check_counts(1, 1, 3); /* the end of this job gives no slot to b */
  uj_job_cancel(&t->job);
  fake_turn(&f);
  check_counts(1, 1, 2);
  LOG(&f, "s:ok s=done t:cancelled t=done");
  fake_term(&f);
}

static void an_unstarted_shield_frees_no_slot(void)
{
  fake_init_limits(&f, 1, 1);
  SPAWNED(&f, "a", PARK(NULL));
  SPAWNED(&f, "b", PARK(NULL));
  uj_job_cancel(&shield("s")->job);
  check_counts(1, 1, 2);
  LOG(&f, "s=cancelled");
  fake_term(&f);
}

static void spawn_grandchild(struct fake_job *job)
{
  (void)job;
  SPAWNED(&f, "c", PARK(NULL));
}

static void is_idle_when_no_job_is_left(void)
{
  struct uj_sched watchers;
  struct fake_job *s;
  const struct act waits[FAKE_ACTS] = {PARK(&f.sched.idle)};
  fake_init_limits(&f, 1, 9);
  fake_sched_init(&f, &watchers, 9, 0);
  SPAWNED(&f, "a", CALL(spawn_grandchild));
  SPAWNED(&f, "b", YIELD);
  s = shield("s");
  fake_spawn(&f, fake_job_new(&f, &watchers, "x", waits));
  fake_spawn(&f, fake_job_new(&f, &watchers, "y", waits));
  fake_settle(&f);
  LOG(&f, "a a=done s x y b b:ok b=done c");
  uj_job_cancel(uj_container(f.sched.jobs.next, struct uj_job, member));
  fake_settle(&f);
  LOG(&f, "c:cancelled c=done");
  uj_job_wake(&s->job, UJ_WAKE_OK);
  fake_settle(&f);
  LOG(&f, "s:ok s=done x:ok x=done y:ok y=done");
  fake_term(&f);
  uj_sched_term(&watchers);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"runs no more than its limit, queues no more than its limit #M2",
       keeps_its_limits},
      {"starts pending jobs in order when a slot is free #M3",
       promotes_in_order},
      {"dropping pending jobs keeps the bounds and the order #M2 #M3",
       dropping_pending_keeps_the_bounds},
      {"a job that never ran gives its slot to the next #M3",
       an_unstarted_job_gives_its_slot_back},
      {"a slot is free whatever way its job ended #M3", every_end_frees_a_slot},
      {"may have no limit", may_have_no_limit},
      {"may have no pending limit", may_have_no_pending_limit},
      {"may have no queue", may_have_no_queue},
      {"shielded jobs run outside the limit", shields_run_outside_the_limit},
      {"a shielded job that never ran frees no slot #M2",
       an_unstarted_shield_frees_no_slot},
      {"is idle when no job is left, spawned meanwhile or shielded",
       is_idle_when_no_job_is_left},
  };
  return CHECK_RUN(tests);
}
