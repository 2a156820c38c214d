/* core/end.h: deadlines, closing and killing a job, and which of them wins. */
#include "check.h"

#include "fake_host.h"

static struct fake f;

/* Protects the job, also from its deadline, as protect() does. */
static void shelter(struct fake_job *job)
{
  uj_job_set_limits(&job->job, UJ_NEVER, true);
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
  fake_advance(&f, 1 * MS); /* both limits pass, and the deadline wins */
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

/* The job swallows the error each time, and sleeps again at once. */
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

/* A job that ends by itself when its time is over is not killed. */
static void kill_comes_after_a_deadline(void)
{
  struct fake_job *a, *b;
  fake_init(&f);
  f.sched.close_ns = 0; /* so the forced end comes together with the deadline */
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

/* The loop is held up for longer than the job has to clean up. */
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
  fake_turn(&f); /* the sleep of b was refused */
  LOG(&f, "b:deadline");
  CHECK_EQ(b->job.kill_ns, f.now_ns + close_ns);
  fake_advance(&f, close_ns - 1);
  LOG(&f, "");
  fake_advance(&f, 1);
  LOG(&f, "a! a=killed b! b=killed");
  fake_term(&f);
}

/* A job that is closed has the time that its closer gives. It does not get more
 * because its deadline is raised late. */
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

/* The job parks when its forced end is set already. */
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

/* The order in which timers of the same time fire shows it. */
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

/* Each line: which limits hold, and which time results from them. */
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
      {"closing wins over a deadline of the same time",
       close_wins_over_a_deadline_of_the_same_time},
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
