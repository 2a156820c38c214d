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

/* Also the deadline, as protect() does. */
static void shelter(struct fake_job *job)
{
  uj_job_set_limits(&job->job, UJ_NEVER, true);
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

/* What a job waited for may be gone when it is refused something else. */
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
  LOG(&f, "a a:cancelled a:cancelled");
  fake_turn(&f);
  LOG(&f, "a! a=killed");
  fake_term(&f);
}

/* Who ends by itself when its time has come is not killed. */
static void kill_comes_after_a_deadline(void)
{
  struct fake_job *a, *b;
  fake_init(&f);
  f.sched.close_ns = 0; /* a job's deadline is the time of its forced end */
  a = JOB(&f, "a", PARK(NULL), SLEEP(5 * MS));
  a->job.deadline_ns = 5 * MS;
  fake_spawn(&f, a);
  b = JOB(&f, "b", SLEEP(5 * MS));
  b->job.deadline_ns = 5 * MS;
  fake_spawn(&f, b);
  fake_turn(&f);
  CHECK_EQ(a->job.kill_ns, a->job.deadline_ns);
  CHECK_EQ(a->job.timer_wake, UJ_WAKE_DEADLINE);
  CHECK_EQ(b->job.timer_wake, UJ_WAKE_DEADLINE);
  fake_advance(&f, 5 * MS);
  LOG(&f, "a b a:deadline b:deadline b=done");
  fake_settle(&f);
  LOG(&f, "a! a=killed");
  fake_term(&f);
}

/* The loop was held up for longer than the job has to clean up. */
static void a_late_deadline_leaves_time(void)
{
  struct fake_job *a, *b;
  uint64_t close_ns;
  fake_init(&f);
  close_ns = f.sched.close_ns;
  a = JOB(&f, "a", SLEEP(UJ_NEVER), CALL(shelter), SLEEP(UJ_NEVER));
  a->job.deadline_ns = MS;
  fake_spawn(&f, a);
  b = JOB(&f, "b", YIELD, SLEEP(UJ_NEVER), CALL(shelter), SLEEP(UJ_NEVER));
  b->job.deadline_ns = MS;
  fake_spawn(&f, b);
  fake_turn(&f);
  fake_advance(&f, 3 * close_ns);
  LOG(&f, "a b b:ok a:deadline");
  CHECK_EQ(a->job.kill_ns, f.now_ns + close_ns);
  fake_turn(&f); /* b has refused to sleep */
  LOG(&f, "b:deadline");
  CHECK_EQ(b->job.kill_ns, f.now_ns + close_ns);
  fake_advance(&f, close_ns - 1);
  LOG(&f, "");
  fake_advance(&f, 1);
  LOG(&f, "a! a=killed b! b=killed");
  fake_term(&f);
}

/* Who is closed has what the closer gives, and no more for being late. */
static void a_late_deadline_leaves_no_time_to_the_closed(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = JOB(&f, "a", CALL(protect), SLEEP(UJ_NEVER), SLEEP(UJ_NEVER));
  a->job.deadline_ns = 5 * MS;
  fake_spawn(&f, a);
  fake_turn(&f);
  uj_job_close(&a->job, 7 * MS);
  fake_advance(&f, 60 * MS);
  LOG(&f, "a a:deadline");
  fake_turn(&f);
  LOG(&f, "a! a=killed");
  fake_term(&f);
}

/* The kill_ns of a job that parks is there first. */
static void kill_comes_after_a_limit(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", CALL(protect), SLEEP(MS), SLEEP(4 * MS), YIELD);
  fake_turn(&f);
  uj_job_close(&a->job, 5 * MS);
  fake_advance(&f, MS);
  CHECK_EQ(a->job.kill_ns, a->job.timer.due_ns);
  CHECK_EQ(a->job.timer_wake, UJ_WAKE_TIMEOUT);
  fake_advance(&f, 4 * MS);
  LOG(&f, "a a:timeout a:timeout");
  fake_settle(&f);
  LOG(&f, "a! a=killed");
  fake_term(&f);
}

static void kill_comes_after_both(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = JOB(&f, "a", CALL(protect), SLEEP(5 * MS), PARK(NULL));
  a->job.deadline_ns = 5 * MS;
  fake_spawn(&f, a);
  fake_turn(&f);
  uj_job_close(&a->job, 5 * MS);
  fake_advance(&f, 5 * MS);
  LOG(&f, "a a:deadline");
  fake_settle(&f);
  LOG(&f, "a! a=killed");
  fake_term(&f);
}

static void kill_comes_before_later_limits(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", CALL(protect), YIELD, SLEEP(5 * MS));
  fake_turn(&f);
  uj_job_close(&a->job, 5 * MS - 1);
  fake_turn(&f);
  CHECK_EQ(a->job.timer_wake, UJ_WAKE_KILLED);
  fake_advance(&f, 5 * MS - 1);
  LOG(&f, "a a:ok a! a=killed");
  fake_term(&f);
}

/* Its turn among the timers of the same time shows it. */
static void close_leaves_a_timer_of_the_same_time(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", CALL(protect), SLEEP(5 * MS));
  SPAWNED(&f, "b", SLEEP(5 * MS));
  fake_turn(&f);
  uj_job_close(&a->job, 5 * MS);
  CHECK_EQ(a->job.kill_ns, f.now_ns + 5 * MS);
  CHECK_EQ(a->job.timer_wake, UJ_WAKE_TIMEOUT);
  CHECK_EQ(uj_timers_check(&f.loop.timers), 2);
  fake_advance(&f, 5 * MS);
  LOG(&f, "a b a:timeout a=done b:timeout b=done");
  fake_term(&f);
}

static void close_replaces_a_later_timer(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", CALL(protect), SLEEP(5 * MS));
  fake_turn(&f);
  uj_job_close(&a->job, 5 * MS - 1);
  CHECK_EQ(a->job.timer_wake, UJ_WAKE_KILLED);
  CHECK_EQ(uj_loop_due(&f.loop), f.now_ns + 5 * MS - 1);
  CHECK_EQ(uj_timers_check(&f.loop.timers), 1);
  fake_advance(&f, 5 * MS - 1);
  LOG(&f, "a a! a=killed");
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

/* The forced end is never taken back. */
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
    if (op == UJ_OP_SPAWN) /* its target belongs to it: see test_close.c */
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

/* Who made it has nobody that would tell of its end. */
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
      {"the forced end comes after a deadline of the same time",
       kill_comes_after_a_deadline},
      {"the forced end comes after a time limit of the same time",
       kill_comes_after_a_limit},
      {"the forced end comes after the deadline that wins over a limit",
       kill_comes_after_both},
      {"a deadline that is raised late leaves the close timeout #M8",
       a_late_deadline_leaves_time},
      {"but not to a job that is being closed #M8",
       a_late_deadline_leaves_no_time_to_the_closed},
      {"the forced end comes before a limit that is later",
       kill_comes_before_later_limits},
      {"closing leaves a time limit of the same time, and its turn",
       close_leaves_a_timer_of_the_same_time},
      {"closing replaces a time limit that is later #M8",
       close_replaces_a_later_timer},
      {"the earliest of several closes counts", earliest_close_counts},
      {"closing without any time asks once, then kills",
       close_of_no_time_asks_once},
      {"cancelling alone never kills", cancel_alone_never_kills},
      {"kill, cancel and deadline count in this order", precedence},
  };
  return CHECK_RUN(tests);
}
