/* core/job.h: cancelling, protecting, deadlines, closing and killing, and which
 * of them wins. */
#include "check.h"

#include "fake_host.h"

static struct fake f;
static struct fake_job *other; /* what the job in a test acts on */

static void again(struct fake_job *job)
{
  job->next = 0;
}

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

static void protect(struct fake_job *job)
{
  job->job.protect = true;
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
  SPAWNED(&f, "c", PARK(&other->job.waiters));
  SPAWNED(&f, "d", YIELD);
  fake_turn(&f);
  LOG(&f, "a b=cancelled a=done c d");
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

static void close_wins_over_a_deadline_of_the_same_time(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = JOB(&f, "a", PARK(NULL), PARK(NULL));
  a->job.deadline_ns = 5 * MS;
  fake_spawn(&f, a);
  fake_turn(&f);
  f.now_ns += 5 * MS;
  uj_job_close(&a->job, 50 * MS);
  fake_settle(&f);
  LOG(&f, "a a:cancelled a:cancelled a=done");
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

static void deadline_counts_from_the_start(void)
{
  struct fake_job *b;
  fake_init_limits(&f, 1, 5);
  SPAWNED(&f, "a", SLEEP(50 * MS));
  b = JOB(&f, "b", PARK(NULL), SLEEP(MS), END(FAILED));
  b->job.deadline_ns = 10 * MS;
  fake_spawn(&f, b);
  fake_turn(&f);
  fake_advance(&f, 50 * MS);
  fake_turn(&f);
  LOG(&f, "a a:timeout a=done b");
  CHECK_EQ(uj_loop_due(&f.loop), f.now_ns + 10 * MS);
  fake_advance(&f, 10 * MS - 1);
  LOG(&f, "");
  fake_advance(&f, 1);
  fake_settle(&f);
  LOG(&f, "b:deadline b:deadline b=failed");
  fake_term(&f);
}

static void deadline_kills_after_the_close_timeout(void)
{
  struct fake_job *a;
  fake_init(&f);
  f.sched.close_ns = 7 * MS;
  a = JOB(&f, "a", PARK(NULL), CALL(again));
  a->job.deadline_ns = 10 * MS;
  fake_spawn(&f, a);
  fake_turn(&f);
  fake_advance(&f, 10 * MS);
  fake_advance(&f, 7 * MS - 1);
  LOG(&f, "a a:deadline a:deadline");
  fake_advance(&f, 1);
  fake_turn(&f);
  LOG(&f, "a:deadline a! a=killed");
  fake_term(&f);
}

static void earliest_limit_comes_first(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = JOB(&f, "a", SLEEP(4 * MS), SLEEP(1 * MS), YIELD);
  a->job.deadline_ns = 5 * MS;
  fake_spawn(&f, a);
  fake_turn(&f);
  fake_advance(&f, 4 * MS);
  LOG(&f, "a a:timeout");
  fake_advance(&f, 1 * MS); /* both: the deadline is the stronger one */
  fake_turn(&f);
  LOG(&f, "a:deadline a:deadline a=done");
  fake_term(&f);
}

static void huge_deadlines_never_come(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = JOB(&f, "a", PARK(NULL));
  a->job.deadline_ns = UJ_NEVER - 1;
  fake_spawn(&f, a);
  fake_turn(&f);
  CHECK_EQ(a->job.deadline_ns, UJ_NEVER);
  CHECK_EQ(a->job.kill_ns, UJ_NEVER);
  CHECK_EQ(uj_loop_due(&f.loop), UJ_NEVER);
  fake_term(&f);
}

static void close_kills_who_stays(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", CALL(protect), SLEEP(1 * MS), CALL(again));
  fake_turn(&f);
  uj_job_close(&a->job, 2 * MS + MS / 2);
  for (int turn = 0; turn < 4; turn++)
    fake_advance(&f, MS / 2);
  LOG(&f, "a a:timeout a:timeout");
  CHECK_EQ(uj_loop_due(&f.loop), f.now_ns + MS / 2);
  fake_advance(&f, MS / 2);
  LOG(&f, "a! a=killed");
  fake_term(&f);
}

static void close_kills_who_waits_for_ever(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", CALL(protect), PARK(NULL));
  fake_turn(&f);
  uj_job_close(&a->job, 5 * MS);
  fake_advance(&f, 5 * MS - 1);
  LOG(&f, "a");
  fake_advance(&f, 1);
  LOG(&f, "a! a=killed");
  fake_term(&f);
}

/* Swallows the error, and comes back at once each time. */
static void close_kills_who_is_busy(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", YIELD, CALL(again));
  fake_turn(&f);
  uj_job_close(&a->job, 2 * MS);
  fake_advance(&f, MS);
  fake_advance(&f, MS);
  LOG(&f, "a a:ok a:cancelled");
  fake_turn(&f);
  LOG(&f, "a! a=killed");
  fake_term(&f);
}

static void kill_wins_at_the_same_time(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = JOB(&f, "a", CALL(protect), SLEEP(5 * MS));
  a->job.deadline_ns = 5 * MS;
  fake_spawn(&f, a);
  fake_turn(&f);
  uj_job_close(&a->job, 5 * MS);
  fake_advance(&f, 5 * MS);
  LOG(&f, "a a! a=killed");
  fake_term(&f);
}

static void earliest_close_counts(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", CALL(protect), SLEEP(50 * MS));
  fake_turn(&f);
  uj_job_close(&a->job, UJ_NEVER);
  uj_job_close(&a->job, 10 * MS);
  uj_job_close(&a->job, 20 * MS);
  uj_job_close(&a->job, 4 * MS);
  CHECK_EQ(a->job.kill_ns, f.now_ns + 4 * MS);
  CHECK_EQ(uj_timers_check(&f.loop.timers), 1);
  fake_advance(&f, 4 * MS);
  LOG(&f, "a a! a=killed");
  fake_term(&f);
}

static void close_of_no_time_asks_once(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", PARK(NULL), PARK(NULL));
  fake_turn(&f);
  uj_job_close(&a->job, 0);
  fake_settle(&f);
  LOG(&f, "a a:cancelled a! a=killed");
  fake_term(&f);
}

static void cancel_alone_never_kills(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", CALL(protect), PARK(NULL));
  fake_turn(&f);
  uj_job_cancel(&a->job);
  CHECK_EQ(uj_loop_due(&f.loop), UJ_NEVER);
  fake_advance(&f, 100000 * MS);
  LOG(&f, "a");
  fake_term(&f);
}

/* Each line: what holds, and what it amounts to. */
static void precedence(void)
{
  struct fake_job *a;
  struct uj_job *job;
  fake_init(&f);
  a = JOB(&f, "a", YIELD);
  job = &a->job;
  job->deadline_ns = job->kill_ns = f.now_ns + 1;
  CHECK_EQ(uj_job_interrupted(job), UJ_WAKE_OK);
  job->deadline_ns = f.now_ns;
  CHECK_EQ(uj_job_interrupted(job), UJ_WAKE_DEADLINE);
  job->cancel = true;
  CHECK_EQ(uj_job_interrupted(job), UJ_WAKE_CANCELLED);
  job->kill_ns = f.now_ns;
  CHECK_EQ(uj_job_interrupted(job), UJ_WAKE_KILLED);
  job->protect = true;
  CHECK_EQ(uj_job_interrupted(job), UJ_WAKE_KILLED);
  job->kill_ns = job->deadline_ns = UJ_NEVER;
  CHECK_EQ(uj_job_interrupted(job), UJ_WAKE_OK);
  free(a);
  fake_term(&f);
}

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
      {"cancellation wins over a time limit of the same turn",
       wins_over_a_limit_of_the_same_turn},
      {"cancellation wins over a deadline of the same turn",
       wins_over_a_deadline_of_the_same_turn},
      {"closing wins over a deadline of the same time",
       close_wins_over_a_deadline_of_the_same_time},
      {"in protect a time limit stays one", protected_limit_is_not_overridden},
      {"a deadline counts from the start", deadline_counts_from_the_start},
      {"a job that outstays its deadline is killed",
       deadline_kills_after_the_close_timeout},
      {"of all limits the earliest comes first, the stronger if equal",
       earliest_limit_comes_first},
      {"a deadline past the end of time never comes",
       huge_deadlines_never_come},
      {"a closed job that stays in protect is killed in time #M8",
       close_kills_who_stays},
      {"a closed job that waits for ever is killed in time #M8",
       close_kills_who_waits_for_ever},
      {"a closed job that never stops is killed in time #M8",
       close_kills_who_is_busy},
      {"the forced end wins over a limit of the same time",
       kill_wins_at_the_same_time},
      {"the earliest of several closes counts", earliest_close_counts},
      {"closing without any time asks once, then kills",
       close_of_no_time_asks_once},
      {"cancelling alone never kills", cancel_alone_never_kills},
      {"kill, cancel and deadline count in this order", precedence},
  };
  return CHECK_RUN(tests);
}
