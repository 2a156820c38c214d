/* core/admit.h: limits that change while the scheduler is in use, and a
 * scheduler that is paused. */
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

static void check_room(int expected)
{
  CHECK_EQ(uj_sched_room(&f.sched), expected);
}

static void a_greater_limit_starts_pending_jobs(void)
{
  fake_init_limits(&f, 1, 9);
  SPAWNED(&f, "a", PARK(NULL));
  SPAWNED(&f, "b", PARK(NULL));
  SPAWNED(&f, "c", PARK(NULL));
  SPAWNED(&f, "d", PARK(NULL));
  fake_settle(&f);
  uj_sched_set_limit(&f.sched, 3);
  check_counts(3, 1, 4);
  fake_settle(&f);
  LOG(&f, "a b c");
  uj_sched_set_limit(&f.sched, UJ_UNLIMITED);
  check_counts(4, 0, 4);
  fake_settle(&f);
  LOG(&f, "d");
  fake_term(&f);
}

static void a_smaller_limit_ends_nobody(void)
{
  struct fake_job *a, *b, *c;
  fake_init_limits(&f, 3, 9);
  a = SPAWNED(&f, "a", PARK(NULL));
  b = SPAWNED(&f, "b", PARK(NULL));
  c = SPAWNED(&f, "c", PARK(NULL));
  SPAWNED(&f, "d", PARK(NULL));
  fake_settle(&f);
  uj_sched_set_limit(&f.sched, 1);
  check_counts(3, 1, 4);
  uj_job_wake(&a->job, UJ_WAKE_OK);
  uj_job_wake(&b->job, UJ_WAKE_OK);
  fake_settle(&f);
  check_counts(1, 1, 2);
  LOG(&f, "a b c a:ok a=done b:ok b=done");
  uj_job_wake(&c->job, UJ_WAKE_OK);
  fake_settle(&f);
  LOG(&f, "c:ok c=done d");
  fake_term(&f);
}

static void a_smaller_pending_limit_drops_nobody(void)
{
  struct fake_job *b;
  fake_init_limits(&f, 1, 2);
  SPAWNED(&f, "a", PARK(NULL));
  b = SPAWNED(&f, "b", YIELD);
  SPAWNED(&f, "c", YIELD);
  uj_sched_set_pending_limit(&f.sched, 1);
  check_counts(1, 2, 3);
  check_room(UJ_EFULL);
  uj_job_cancel(&b->job);
  check_counts(1, 1, 2);
  check_room(UJ_EFULL);
  uj_sched_set_pending_limit(&f.sched, 2);
  check_room(UJ_OK);
  fake_term(&f);
}

static struct uj_sched small; /* its spawners run in f.sched */

/* One job of `small` is active, and two spawners wait for room. */
static void init_blocked(void)
{
  const struct act acts[FAKE_ACTS] = {PARK(NULL)};
  fake_init(&f);
  fake_sched_init(&f, &small, 1, 0);
  fake_spawn(&f, fake_job_new(&f, &small, "o", acts));
  SPAWNED(&f, "a", SPAWN(&small, "x"));
  SPAWNED(&f, "b", SPAWN(&small, "y"));
  fake_settle(&f);
  LOG(&f, "o a b");
}

static void check_small(uint64_t active, uint64_t pending, bool blocked)
{
  uj_loop_check(&f.loop);
  CHECK_EQ(small.nactive, active);
  CHECK_EQ(small.npending, pending);
  CHECK_EQ(!uj_link_empty(&small.blocked), blocked);
}

static void a_greater_limit_admits_blocked_spawners(void)
{
  init_blocked();
  check_small(1, 0, true);
  uj_sched_set_limit(&small, 2);
  check_small(2, 0, true);
  uj_sched_set_pending_limit(&small, 1);
  check_small(2, 1, false);
  fake_settle(&f);
  LOG(&f, "x x=done a:ok a=done b:ok b=done y y=done");
  fake_term(&f);
  uj_sched_term(&small);
}

static void a_paused_scheduler_admits_blocked_spawners_as_pending(void)
{
  init_blocked();
  uj_sched_pause(&small);
  uj_sched_set_limit(&small, 9);
  check_small(1, 0, true);
  uj_sched_set_pending_limit(&small, 1);
  check_small(1, 1, true);
  uj_sched_resume(&small);
  check_small(3, 0, false);
  fake_settle(&f);
  fake_term(&f);
  uj_sched_term(&small);
}

static void no_job_starts_while_paused(void)
{
  struct fake_job *a;
  fake_init_limits(&f, 2, 9);
  a = SPAWNED(&f, "a", PARK(NULL), YIELD);
  fake_settle(&f);
  SPAWNED(&f, "b", YIELD);
  uj_sched_pause(&f.sched);
  uj_sched_pause(&f.sched);
  SPAWNED(&f, "c", YIELD);
  check_counts(2, 1, 3);
  CHECK(!uj_loop_ready(&f.loop));
  uj_job_wake(&a->job, UJ_WAKE_OK);
  fake_settle(&f);
  LOG(&f, "a a:ok a:ok a=done");
  check_counts(1, 1, 2);
  uj_sched_resume(&f.sched);
  uj_sched_resume(&f.sched);
  check_counts(2, 0, 2);
  fake_settle(&f);
  LOG(&f, "b c b:ok b=done c:ok c=done");
  fake_term(&f);
}

/* The limit changes in the middle of a batch. */
static void jobs_of_the_same_turn_are_held(void)
{
  struct fake_job *b;
  fake_init(&f);
  SPAWNED(&f, "a", YIELD);
  b = SPAWNED(&f, "b", YIELD);
  SPAWNED(&f, "c", YIELD);
  uj_link_splice(&f.loop.batch, &f.loop.ready);
  uj_sched_pause(&f.sched);
  CHECK(uj_link_empty(&f.loop.batch));
  uj_job_cancel(&b->job);
  check_counts(2, 0, 2);
  fake_settle(&f);
  LOG(&f, "b=cancelled");
  uj_sched_resume(&f.sched);
  fake_settle(&f);
  LOG(&f, "a c a:ok a=done c:ok c=done");
  fake_term(&f);
}

static void a_shielded_job_starts_while_paused(void)
{
  struct fake_job *job;
  fake_init(&f);
  job = JOB(&f, "s", YIELD);
  CHECK_EQ(uj_sched_shield(&f.sched, &job->job), UJ_OK);
  uj_sched_pause(&f.sched);
  fake_settle(&f);
  LOG(&f, "s s:ok s=done");
  fake_term(&f);
}

static void can_be_closed_while_paused(void)
{
  fake_init_limits(&f, 2, 9);
  SPAWNED(&f, "a", PARK(NULL), END(CANCELLED));
  fake_settle(&f);
  SPAWNED(&f, "b", YIELD);
  SPAWNED(&f, "c", YIELD);
  uj_sched_pause(&f.sched);
  uj_sched_close(&f.sched, NULL);
  check_counts(1, 0, 1);
  fake_settle(&f);
  LOG(&f, "a c=cancelled b=cancelled a:cancelled a=cancelled");
  check_counts(0, 0, 0);
  uj_sched_resume(&f.sched);
  check_counts(0, 0, 0);
  fake_term(&f);
}

static void counts_the_ends(void)
{
  struct fake_job *d, *s;
  fake_init_limits(&f, 9, 9);
  SPAWNED(&f, "a", END(DONE));
  SPAWNED(&f, "b", END(DONE));
  SPAWNED(&f, "c", END(FAILED));
  d = SPAWNED(&f, "d", YIELD);
  uj_job_cancel(&d->job);
  s = JOB(&f, "s", END(FAILED));
  CHECK_EQ(uj_sched_shield(&f.sched, &s->job), UJ_OK);
  fake_settle(&f);
  CHECK_EQ(f.sched.ended[UJ_JOB_DONE - UJ_JOB_DONE], 2);
  CHECK_EQ(f.sched.ended[UJ_JOB_FAILED - UJ_JOB_DONE], 1);
  CHECK_EQ(f.sched.ended[UJ_JOB_CANCELLED - UJ_JOB_DONE], 1);
  CHECK_EQ(f.sched.ended[UJ_JOB_KILLED - UJ_JOB_DONE], 0);
  fake_term(&f);
}

static void check_times(double waiting_ms, double running_ms)
{
  uj_sched_note_time(&f.sched);
  CHECK(f.sched.waiting_ns == waiting_ms * MS);
  CHECK(f.sched.running_ns == running_ms * MS);
}

static void sums_the_times_when_asked_to(void)
{
  struct fake_job *a;
  fake_init_limits(&f, 1, 9);
  f.sched.timed = true;
  a = SPAWNED(&f, "a", PARK(NULL));
  SPAWNED(&f, "b", PARK(NULL));
  SPAWNED(&f, "c", PARK(NULL));
  fake_advance(&f, 10 * MS);
  check_times(20, 10);
  uj_job_wake(&a->job, UJ_WAKE_OK);
  fake_settle(&f);
  fake_advance(&f, 5 * MS);
  check_times(25, 15);
  uj_sched_set_limit(&f.sched, 2);
  fake_advance(&f, 5 * MS);
  check_times(25, 25);
  uj_loop_stop_times(&f.loop);
  f.now_ns = 0;
  uj_loop_start_times(&f.loop);
  check_times(25, 25);
  f.now_ns = MS;
  check_times(25, 27);
  fake_term(&f);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a greater limit starts pending jobs at once, in order",
       a_greater_limit_starts_pending_jobs},
      {"a smaller limit ends nobody, and fewer start until it holds",
       a_smaller_limit_ends_nobody},
      {"a smaller pending limit drops nobody",
       a_smaller_pending_limit_drops_nobody},
      {"a greater limit admits blocked spawners, in order",
       a_greater_limit_admits_blocked_spawners},
      {"a paused scheduler admits blocked spawners as pending ones",
       a_paused_scheduler_admits_blocked_spawners_as_pending},
      {"no job starts while its scheduler is paused",
       no_job_starts_while_paused},
      {"jobs that are about to start in the same turn are held",
       jobs_of_the_same_turn_are_held},
      {"a shielded job starts while its scheduler is paused",
       a_shielded_job_starts_while_paused},
      {"can be closed while it is paused", can_be_closed_while_paused},
      {"counts how its jobs have ended", counts_the_ends},
      {"sums up how long jobs were pending and active, when asked to",
       sums_the_times_when_asked_to},
  };
  return CHECK_RUN(tests);
}
