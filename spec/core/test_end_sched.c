/* core/end.h: closing a scheduler. */
#include "check.h"

#include "small.h"

static void close_f(struct fake_job *job)
{
  uj_sched_close(&f.sched, &job->job);
  uj_loop_check(&f.loop);
}

static void close_tells_blocked_spawners(void)
{
  init(1, 1);
  occupy("o");
  occupy("p");
  SPAWNED(&f, "a", SPAWN(&small, "x"));
  SPAWNED(&f, "b", SPAWN(&small, "y"), SPAWN(&small, "z"));
  fake_turn(&f);
  LOG(&f, "o a b");
  uj_sched_close(&small, NULL);
  uj_loop_check(&f.loop);
  fake_settle(&f);
  LOG(&f, "x=cancelled y=cancelled p=cancelled a:closed a=done b:closed b-z "
          "b=done o:cancelled o=done");
  term();
}

/* However the wait of the spawner ends, its job ends once. */
static void close_tells_every_blocked_spawner(void)
{
  struct fake_job *a, *b, *c;
  init(1, 0);
  occupy("o");
  a = SPAWNED(&f, "a", CALL(protect), SPAWN(&small, "x"), YIELD);
  b = JOB(&f, "b", SPAWN(&small, "y"), PARK(NULL));
  b->job.deadline_ns = 5 * MS;
  fake_spawn(&f, b);
  c = SPAWNED(&f, "c", SPAWN(&small, "z"));
  fake_turn(&f);
  uj_job_close(&a->job, 5 * MS);
  LOG(&f, "o a b c");
  uj_sched_close(&small, NULL);
  LOG(&f, "x=cancelled y=cancelled z=cancelled");
  CHECK_EQ(a->job.wake, UJ_WAKE_CLOSED);
  CHECK_EQ(uj_timers_check(&f.loop.timers), 0);
  uj_job_cancel(&c->job); /* it is ready, and keeps the earlier reason */
  uj_sched_close(&small, NULL);
  fake_advance(&f, 5 * MS);
  LOG(&f, "a:closed b:closed c:closed c=done o:cancelled o=done");
  fake_settle(&f);
  LOG(&f, "a! a=killed b:deadline b=done");
  term();
}

static void closed_admits_nothing(void)
{
  struct fake_job *job;
  fake_init(&f);
  uj_sched_close(&f.sched, NULL);
  CHECK(f.sched.closed);
  job = JOB(&f, "a", YIELD);
  CHECK_EQ(uj_sched_spawn(&f.sched, &job->job), UJ_ECLOSED);
  CHECK_EQ(uj_sched_shield(&f.sched, &job->job), UJ_ECLOSED);
  CHECK_EQ(job->job.state, UJ_JOB_NEW);
  CHECK(!uj_loop_live(&f.loop));
  free(job);
  fake_term(&f);
}

/* Jobs that have not started never do, whether they are pending or have a slot.
 */
static void close_runs_nothing_more(void)
{
  fake_init_limits(&f, 2, 9);
  SPAWNED(&f, "a", PARK(NULL));
  fake_turn(&f);
  SPAWNED(&f, "b", YIELD);
  SPAWNED(&f, "c", YIELD);
  SPAWNED(&f, "d", YIELD);
  uj_sched_close(&f.sched, NULL);
  uj_loop_check(&f.loop);
  CHECK_EQ(f.sched.nactive, 1);
  CHECK_EQ(f.sched.npending, 0);
  fake_settle(&f);
  LOG(&f, "a c=cancelled d=cancelled b=cancelled a:cancelled a=done");
  fake_term(&f);
}

static void close_kills_who_stays(void)
{
  struct fake_job *s;
  fake_init(&f);
  f.sched.close_ns = 5 * MS;
  SPAWNED(&f, "a", CALL(protect), PARK(NULL));
  s = JOB(&f, "s", CALL(protect), SLEEP(20 * MS));
  CHECK_EQ(uj_sched_shield(&f.sched, &s->job), UJ_OK);
  fake_turn(&f);
  uj_sched_close(&f.sched, NULL);
  fake_advance(&f, 4 * MS);
  uj_sched_close(&f.sched, NULL); /* a second close does not give more time */
  LOG(&f, "a s");
  fake_advance(&f, MS);
  LOG(&f, "a! a=killed s! s=killed");
  CHECK(!uj_loop_live(&f.loop));
  fake_term(&f);
}

static void close_from_inside_spares_the_caller(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", YIELD, CALL(close_f), ALONE(&f.sched), YIELD);
  SPAWNED(&f, "b", PARK(NULL), PARK(NULL), YIELD);
  fake_turn(&f);
  fake_settle(&f);
  LOG(&f, "a b a:ok b:cancelled b:cancelled b:cancelled b=done a:ok a:ok "
          "a=done");
  fake_term(&f);
}

static void close_reaches_a_spawner_of_its_own(void)
{
  fake_init_limits(&f, 1, 0);
  SPAWNED(&f, "a", SPAWN(&f.sched, "x"), SPAWN(&f.sched, "y"));
  fake_turn(&f);
  uj_sched_close(&f.sched, NULL);
  fake_settle(&f);
  LOG(&f, "a x=cancelled a:closed a-y a=done");
  fake_term(&f);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"closing tells blocked spawners and drops their jobs #M9",
       close_tells_blocked_spawners},
      {"closing tells blocked spawners in protect, or about to end #M9",
       close_tells_every_blocked_spawner},
      {"closing reaches a spawner that is blocked in its own scheduler #M9",
       close_reaches_a_spawner_of_its_own},
      {"a closed scheduler admits nothing #M9", closed_admits_nothing},
      {"closing runs nothing more and keeps the bounds #M2 #M9",
       close_runs_nothing_more},
      {"closing kills who stays, closing again gives no more time #M8",
       close_kills_who_stays},
      {"closing from inside spares the caller until it is alone",
       close_from_inside_spares_the_caller},
  };
  return CHECK_RUN(tests);
}
