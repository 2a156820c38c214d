/* core/admit.h: jobs that wait for the others of their scheduler. */
#include "check.h"

#include "fake_host.h"

static struct fake f;

static void end(struct fake_job *job)
{
  uj_job_wake(&job->job, UJ_WAKE_OK);
}

static void close_f(struct fake_job *job)
{
  uj_sched_close(&f.sched, &job->job);
  uj_loop_check(&f.loop);
}

/* Two jobs wait for all others. They do not wait for each other. */
static void two_close_from_inside(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(protect), YIELD, CALL(close_f), ALONE(&f.sched));
  SPAWNED(&f, "b", CALL(protect), YIELD, CALL(close_f), ALONE(&f.sched));
  SPAWNED(&f, "c", CALL(protect), SLEEP(MS));
  fake_turn(&f);
  fake_turn(&f);
  LOG(&f, "a b c a:ok b:ok");
  fake_advance(&f, MS);
  fake_turn(&f);
  LOG(&f, "c:timeout c=done a:ok a=done b:ok b=done");
  fake_term(&f);
}

/* The first job waits for the second only, which then begins to wait, too. */
static void two_close_from_inside_with_no_other(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(protect), YIELD, CALL(close_f), ALONE(&f.sched));
  SPAWNED(&f, "b", CALL(protect), YIELD, CALL(close_f), ALONE(&f.sched));
  fake_turn(&f);
  fake_settle(&f);
  LOG(&f, "a b a:ok b:ok a:ok a=done b:ok b=done");
  fake_term(&f);
}

static void who_is_alone_waits_for_nobody(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", ALONE(&f.sched), CALL(close_f), ALONE(&f.sched));
  fake_settle(&f);
  LOG(&f, "a a:ok a:ok a=done");
  fake_term(&f);
}

static void waits_alone_for_pending_and_shielded(void)
{
  struct fake_job *s, *p;
  fake_init_limits(&f, 1, 1);
  SPAWNED(&f, "a", ALONE(&f.sched));
  s = JOB(&f, "s", PARK(NULL));
  CHECK_EQ(uj_sched_shield(&f.sched, &s->job), UJ_OK);
  p = SPAWNED(&f, "p", YIELD);
  fake_turn(&f);
  end(s);
  fake_settle(&f);
  LOG(&f, "a s s:ok s=done");
  uj_job_cancel(&p->job);
  fake_settle(&f);
  LOG(&f, "p=cancelled a:ok a=done");
  fake_term(&f);
}

static void a_shielded_job_waits_alone(void)
{
  struct fake_job *s;
  fake_init(&f);
  s = JOB(&f, "s", ALONE(&f.sched), ALONE(&f.sched));
  CHECK_EQ(uj_sched_shield(&f.sched, &s->job), UJ_OK);
  SPAWNED(&f, "a", YIELD);
  fake_settle(&f);
  LOG(&f, "s a a:ok a=done s:ok s:ok s=done");
  fake_term(&f);
}

/* A scheduler that is open goes on admitting jobs meanwhile. */
static void waits_alone_for_later_jobs(void)
{
  struct fake_job *b, *c;
  fake_init(&f);
  SPAWNED(&f, "a", ALONE(&f.sched));
  b = SPAWNED(&f, "b", PARK(NULL));
  fake_turn(&f);
  c = SPAWNED(&f, "c", PARK(NULL));
  end(b);
  fake_settle(&f);
  LOG(&f, "a b c b:ok b=done");
  end(c);
  fake_settle(&f);
  LOG(&f, "c:ok c=done a:ok a=done");
  fake_term(&f);
}

/* One job was cancelled in its wait, and the wait of another was refused:
 * neither counts as waiting. */
static void who_is_interrupted_is_waited_for(void)
{
  struct fake_job *b;
  fake_init(&f);
  SPAWNED(&f, "a", ALONE(&f.sched));
  b = SPAWNED(&f, "b", ALONE(&f.sched), ALONE(&f.sched), PARK(NULL));
  SPAWNED(&f, "c", CALL(protect), SLEEP(MS));
  fake_turn(&f);
  uj_job_cancel(&b->job);
  fake_turn(&f);
  CHECK_EQ(b->job.place, UJ_AT_READY);
  fake_turn(&f);
  LOG(&f, "a b c b:cancelled b:cancelled");
  fake_turn(&f);
  LOG(&f, "b:cancelled b=done");
  fake_advance(&f, MS);
  fake_settle(&f);
  LOG(&f, "c:timeout c=done a:ok a=done");
  fake_term(&f);
}

/* A job of another scheduler that waits for this one is not counted. */
static void alone_is_not_idle(void)
{
  struct uj_sched watchers;
  const struct act waits[FAKE_ACTS] = {PARK(&f.sched.idle)};
  fake_init(&f);
  fake_sched_init(&f, &watchers, 9, 0);
  fake_spawn(&f, fake_job_new(&f, &watchers, "x", waits));
  SPAWNED(&f, "a", ALONE(&f.sched), YIELD);
  SPAWNED(&f, "b", ALONE(&f.sched));
  fake_turn(&f);
  fake_turn(&f);
  LOG(&f, "x a b a:ok b:ok b=done");
  fake_settle(&f);
  LOG(&f, "a:ok a=done x:ok x=done");
  fake_term(&f);
  uj_sched_term(&watchers);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"two jobs close their scheduler from inside", two_close_from_inside},
      {"two jobs close their scheduler from inside, with no other left",
       two_close_from_inside_with_no_other},
      {"a job that is alone waits for nobody", who_is_alone_waits_for_nobody},
      {"a job waits until it is alone for pending and shielded ones",
       waits_alone_for_pending_and_shielded},
      {"a shielded job waits until it is alone", a_shielded_job_waits_alone},
      {"a job waits until it is alone for those spawned meanwhile",
       waits_alone_for_later_jobs},
      {"a job that is interrupted waits no more until it is alone",
       who_is_interrupted_is_waited_for},
      {"jobs that wait for each other's end leave no idle scheduler",
       alone_is_not_idle},
  };
  return CHECK_RUN(tests);
}
