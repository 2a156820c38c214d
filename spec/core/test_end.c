/* core/end.h: cancelling a job, and holding cancellation off. */
#include "check.h"

#include "fake_host.h"

static struct fake f;
static struct fake_job *other; /* the job that a test cancels or closes */

static void cancel_self(struct fake_job *job)
{
  uj_job_cancel(&job->job);
  CHECK_EQ(job->job.state, UJ_JOB_CLOSING);
  CHECK_EQ(job->job.place, UJ_AT_NONE);
}

static void cancel_other(struct fake_job *job)
{
  (void)job;
  uj_job_cancel(&other->job);
}

static void unprotect(struct fake_job *job)
{
  job->job.protect = false;
}

static void before_it_started(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", YIELD);
  SPAWNED(&f, "b", YIELD);
  uj_job_cancel(&a->job);
  uj_loop_check(&f.loop);
  LOG(&f, "a=cancelled");
  other = SPAWNED(&f, "c", YIELD);
  uj_job_close(&other->job, 5 * MS);
  CHECK_EQ(uj_timers_check(&f.loop.timers), 0);
  fake_settle(&f);
  LOG(&f, "c=cancelled b b:ok b=done");
  fake_term(&f);
}

static void before_it_started_in_the_same_turn(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(cancel_other));
  other = SPAWNED(&f, "b", YIELD);
  SPAWNED(&f, "c", YIELD);
  fake_turn(&f);
  LOG(&f, "a b=cancelled a=done c");
  fake_term(&f);
}

static void is_raised_at_every_operation(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", PARK(NULL), SLEEP(MS), YIELD, PARK(NULL), END(DONE));
  fake_turn(&f);
  uj_job_cancel(&a->job);
  uj_job_cancel(&a->job);
  fake_settle(&f);
  LOG(&f, "a a:cancelled a:cancelled a:cancelled a:cancelled a=done");
  fake_term(&f);
}

static void itself(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(cancel_self), YIELD, SLEEP(MS), END(CANCELLED));
  fake_settle(&f);
  LOG(&f, "a a:cancelled a:cancelled a=cancelled");
  fake_term(&f);
}

static void is_held_off_by_protect(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", CALL(protect), SLEEP(MS), YIELD, CALL(unprotect),
              SLEEP(MS));
  fake_turn(&f);
  uj_job_cancel(&a->job);
  CHECK_EQ(a->job.state, UJ_JOB_CLOSING);
  fake_turn(&f);
  LOG(&f, "a");
  fake_advance(&f, MS);
  fake_settle(&f);
  LOG(&f, "a:timeout a:ok a:cancelled a=done");
  fake_term(&f);
}

static void target_other(struct fake_job *job)
{
  job->job.target = &other->job;
}

static void refused_over_and_over(struct fake_job *job)
{
  CHECK(job->job.target == NULL);
  job->job.target = &other->job;
  job->next = 2;
}

/* The target of an earlier wait may have been freed when a later operation is
 * refused. */
static void leaves_no_target(void)
{
  struct fake_job *a;
  fake_init(&f);
  other = SPAWNED(&f, "o", PARK(NULL));
  a = SPAWNED(&f, "a", CALL(target_other), PARK(&other->job.waiters), YIELD,
              CALL(refused_over_and_over));
  fake_turn(&f);
  CHECK(a->job.target == &other->job);
  uj_job_wake(&a->job, UJ_WAKE_OK);
  CHECK(a->job.target == NULL);
  f.log[0] = '\0';
  uj_job_cancel(&a->job);
  for (int i = 0; i < 110; i++) {
    fake_advance(&f, 16 * MS);
    CHECK(a->job.target == NULL);
    f.log[0] = '\0';
  }
  CHECK_EQ(other->job.state, UJ_JOB_ACTIVE);
  a->acts[3] = END(DONE);
  fake_term(&f);
}

static void wins_over_a_limit_of_the_same_turn(void)
{
  fake_init(&f);
  SPAWNED(&f, "x", SLEEP(5 * MS), CALL(cancel_other));
  other = SPAWNED(&f, "a", SLEEP(5 * MS));
  fake_turn(&f);
  fake_advance(&f, 5 * MS);
  LOG(&f, "x a x:timeout x=done a:cancelled a=done");
  fake_term(&f);
}

static void wins_over_a_deadline_of_the_same_turn(void)
{
  fake_init(&f);
  SPAWNED(&f, "x", SLEEP(5 * MS), CALL(cancel_other));
  other = JOB(&f, "a", PARK(NULL), PARK(NULL));
  other->job.deadline_ns = 5 * MS;
  fake_spawn(&f, other);
  fake_turn(&f);
  fake_advance(&f, 5 * MS);
  LOG(&f, "x a x:timeout x=done a:cancelled");
  fake_settle(&f);
  LOG(&f, "a:cancelled a=done");
  fake_term(&f);
}

static void protected_limit_is_not_overridden(void)
{
  fake_init(&f);
  SPAWNED(&f, "x", SLEEP(5 * MS), CALL(cancel_other));
  other = SPAWNED(&f, "a", CALL(protect), SLEEP(5 * MS));
  fake_turn(&f);
  fake_advance(&f, 5 * MS);
  LOG(&f, "x a x:timeout x=done a:timeout a=done");
  fake_term(&f);
}

static void reaches_who_gave_way(void)
{
  struct fake_job *a, *b;
  fake_init(&f);
  a = SPAWNED(&f, "a", YIELD, YIELD);
  b = SPAWNED(&f, "b", YIELD, YIELD);
  fake_turn(&f);
  CHECK_EQ(a->job.wake, UJ_WAKE_OK);
  uj_job_cancel(&a->job);
  CHECK_EQ(a->job.wake, UJ_WAKE_CANCELLED);
  uj_job_close(&b->job, 5 * MS);
  CHECK_EQ(b->job.wake, UJ_WAKE_CANCELLED);
  LOG(&f, "a b");
  fake_settle(&f);
  LOG(&f, "a:cancelled b:cancelled a:cancelled a=done b:cancelled b=done");
  fake_term(&f);
}

static void reaches_who_gave_way_in_the_same_turn(void)
{
  fake_init(&f);
  SPAWNED(&f, "x", YIELD, CALL(cancel_other));
  other = SPAWNED(&f, "a", YIELD, END(CANCELLED));
  fake_settle(&f);
  LOG(&f, "x a x:ok x=done a:cancelled a=cancelled");
  fake_term(&f);
}

/* A forced end can be brought forward, but not put off. */
static void does_not_reach_who_is_killed(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", YIELD, YIELD);
  a->job.kill_ns = f.now_ns;
  fake_turn(&f);
  CHECK_EQ(a->job.wake, UJ_WAKE_KILLED);
  uj_job_cancel(&a->job);
  fake_settle(&f);
  LOG(&f, "a a! a=killed");
  fake_term(&f);
}

static void protect_lets_give_way(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", CALL(protect), YIELD, CALL(unprotect), YIELD);
  fake_turn(&f);
  uj_job_cancel(&a->job);
  fake_settle(&f);
  LOG(&f, "a a:ok a:cancelled a=done");
  fake_term(&f);
}

/* What a job waited for and got stays its own, whatever it was, even if it
 * gave way before. */
static void takes_back_nothing_else(void)
{
  for (unsigned op = UJ_OP_WAIT; op <= UJ_OP_HOST + 10; op++) {
    struct fake_job *a;
    if (op ==
        UJ_OP_SPAWN) /* its target belongs to it, see test_admit_block.c */
      continue;
    fake_init(&f);
    a = SPAWNED(&f, "a", YIELD, PARK(NULL), YIELD);
    a->acts[1].op = op;
    fake_turn(&f);
    fake_turn(&f);
    CHECK_EQ(a->job.op, op);
    uj_job_wake(&a->job, UJ_WAKE_OK);
    uj_job_cancel(&a->job);
    CHECK_EQ(a->job.wake, UJ_WAKE_OK);
    fake_settle(&f);
    LOG(&f, "a a:ok a:ok a:cancelled a=done");
    fake_term(&f);
  }
}

#ifdef UJ_DEBUG
static void cancel(void *job)
{
  uj_job_cancel(job);
}

static void close_job(void *job)
{
  uj_job_close(job, 0);
}

/* A job that was never admitted must not be cancelled or closed: the host has
 * not handed it over yet, and would not expect its end. */
static void no_new_job(void)
{
  struct fake_job *a;
  fake_init_limits(&f, 1, 0);
  a = JOB(&f, "a", YIELD);
  CHECK(check_aborts(cancel, &a->job));
  CHECK(check_aborts(close_job, &a->job));
  fake_spawn(&f, a);
  CHECK(!check_aborts(cancel, &a->job));
  CHECK(!check_aborts(close_job, &a->job));
  fake_term(&f);
}
#endif

int main(void)
{
  static const struct check_test tests[] = {
      {"cancelled before it started, a job never runs", before_it_started},
      {"cancelled in the turn in which it was to start, a job never runs",
       before_it_started_in_the_same_turn},
      {"a cancelled job is told at every operation #M5",
       is_raised_at_every_operation},
      {"a job may cancel itself", itself},
      {"protect holds cancellation off", is_held_off_by_protect},
      {"cancellation reaches a job that gave way", reaches_who_gave_way},
      {"cancellation reaches a job that gave way, in the turn in which it goes "
       "on",
       reaches_who_gave_way_in_the_same_turn},
      {"cancellation saves no job that gave way from its forced end #M8",
       does_not_reach_who_is_killed},
      {"protect holds cancellation off from a job that gave way",
       protect_lets_give_way},
      {"cancellation takes back nothing that a job waited for #M6",
       takes_back_nothing_else},
      {"a job that is woken, or refused, has no target any more #M4",
       leaves_no_target},
#ifdef UJ_DEBUG
      {"a job that was not admitted cannot be cancelled", no_new_job},
#endif
      {"cancellation wins over a time limit of the same turn",
       wins_over_a_limit_of_the_same_turn},
      {"cancellation wins over a deadline of the same turn",
       wins_over_a_deadline_of_the_same_turn},
      {"in protect a time limit stays one", protected_limit_is_not_overridden},
  };
  return CHECK_RUN(tests);
}
