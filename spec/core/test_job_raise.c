/* core/job.h: what is raised in a job that runs on and on. */
#include "check.h"

#include "fake_host.h"

static struct fake f;

static struct fake_job *spawn_parked(const char *name)
{
  struct fake_job *job = SPAWNED(&f, name, PARK(NULL));
  fake_settle(&f);
  return job;
}

/* The job of these tests waits, although it stands for one that runs: the
 * functions that are tested do not look at that. */
static struct uj_job *started(void)
{
  fake_init(&f);
  f.sched.close_ns = 10;
  return &spawn_parked("a")->job;
}

/* Returns what an interruption raises in the job. */
static enum uj_wake raised(struct uj_job *job)
{
  enum uj_wake wake = uj_job_to_raise(job);
  CHECK_EQ(uj_job_to_raise(job), wake); /* uj_job_to_raise() changes nothing */
  if (wake != UJ_WAKE_OK && wake != UJ_WAKE_KILLED)
    uj_job_note_raised(job, wake);
  return wake;
}

static void telling_again_brings_no_time(void)
{
  struct uj_job *job = started();
  uj_job_set_limits(job, f.now_ns, false);
  uj_job_note_raised(job, UJ_WAKE_DEADLINE); /* by a refused operation */
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  f.now_ns += 6;
  uj_job_note_raised(job, UJ_WAKE_DEADLINE);
  CHECK_EQ(uj_job_raise_due(job), f.now_ns + 4);
  f.now_ns += 4;
  CHECK_EQ(raised(job), UJ_WAKE_KILLED);
  fake_term(&f);
}

static void nothing_is_raised_without_a_reason(void)
{
  struct uj_job *job = started();
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  CHECK_EQ(uj_job_raise_due(job), UJ_NEVER);
  uj_job_set_limits(job, f.now_ns + 5, false);
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  CHECK_EQ(uj_job_raise_due(job), f.now_ns + 5);
  CHECK_EQ(job->raised, UJ_WAKE_OK);
  fake_term(&f);
}

static void cancellation_is_raised_once(void)
{
  struct uj_job *job = started();
  uj_job_cancel(job);
  CHECK_EQ(uj_job_raise_due(job), 0);
  CHECK_EQ(raised(job), UJ_WAKE_CANCELLED);
  CHECK_EQ(uj_job_raise_due(job), UJ_NEVER);
  f.now_ns += 1000;
  CHECK_EQ(raised(job), UJ_WAKE_OK); /* it has no forced end */
  job->kill_ns = f.now_ns + 7;
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  CHECK_EQ(uj_job_raise_due(job), f.now_ns + 7);
  f.now_ns += 7;
  CHECK_EQ(raised(job), UJ_WAKE_KILLED);
  CHECK_EQ(raised(job), UJ_WAKE_KILLED);
  fake_term(&f);
}

static void ignored_deadline_kills(void)
{
  struct uj_job *job = started();
  uj_job_set_limits(job, f.now_ns, false);
  f.now_ns += 3;
  CHECK_EQ(raised(job), UJ_WAKE_DEADLINE);
  CHECK_EQ(uj_job_raise_due(job), f.now_ns + 10); /* since it was raised */
  f.now_ns += 9;
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  f.now_ns += 1;
  CHECK_EQ(raised(job), UJ_WAKE_KILLED);
  fake_term(&f);
}

static void kill_time_comes_first(void)
{
  struct uj_job *job = started();
  uj_job_set_limits(job, f.now_ns + 4, false);
  job->kill_ns = f.now_ns + 2;
  CHECK_EQ(uj_job_raise_due(job), f.now_ns + 2);
  job->kill_ns = f.now_ns + 8;
  CHECK_EQ(uj_job_raise_due(job), f.now_ns + 4);
  f.now_ns += 4;
  CHECK_EQ(raised(job), UJ_WAKE_DEADLINE);
  CHECK_EQ(uj_job_raise_due(job), f.now_ns + 4); /* before the close timeout */
  f.now_ns += 4;
  CHECK_EQ(raised(job), UJ_WAKE_KILLED);
  fake_term(&f);
}

static void protect_holds_off(void)
{
  struct uj_job *job = started();
  uj_job_set_limits(job, UJ_NEVER, true);
  uj_job_cancel(job);
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  CHECK_EQ(uj_job_raise_due(job), UJ_NEVER);
  uj_job_set_limits(job, f.now_ns + 2, true); /* this one is raised */
  CHECK_EQ(uj_job_raise_due(job), f.now_ns + 2);
  f.now_ns += 2;
  CHECK_EQ(raised(job), UJ_WAKE_DEADLINE);
  uj_job_close(job, 1);
  CHECK_EQ(uj_job_raise_due(job), f.now_ns + 1);
  uj_job_set_limits(job, UJ_NEVER, false);
  CHECK_EQ(uj_job_raise_due(job), 0);
  CHECK_EQ(raised(job), UJ_WAKE_CANCELLED);
  fake_term(&f);
}

static void another_deadline_is_told_again(void)
{
  struct uj_job *job = started();
  uint64_t outer_ns = f.now_ns + 1, inner_ns = f.now_ns;
  uj_job_set_limits(job, inner_ns, false);
  CHECK_EQ(raised(job), UJ_WAKE_DEADLINE);
  uj_job_set_limits(job, inner_ns, false); /* the same deadline again */
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  uj_job_set_limits(job, outer_ns, false);
  CHECK_EQ(uj_job_raise_due(job), outer_ns);
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  f.now_ns += 20; /* this deadline was not raised yet */
  CHECK_EQ(raised(job), UJ_WAKE_DEADLINE);
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  uj_job_set_limits(job, UJ_NEVER, false);
  CHECK_EQ(uj_job_raise_due(job), UJ_NEVER);
  fake_term(&f);
}

static void cancellation_stays_told(void)
{
  struct uj_job *job = started();
  uj_job_cancel(job);
  CHECK_EQ(raised(job), UJ_WAKE_CANCELLED);
  uj_job_set_limits(job, f.now_ns, false);
  CHECK_EQ(raised(job), UJ_WAKE_OK); /* the cancellation wins */
  CHECK_EQ(uj_job_raise_due(job), UJ_NEVER);
  uj_job_set_limits(job, UJ_NEVER, false);
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  fake_term(&f);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"nothing is raised without a reason",
       nothing_is_raised_without_a_reason},
      {"telling a job again brings it no time", telling_again_brings_no_time},
      {"a cancellation is raised once, and force follows",
       cancellation_is_raised_once},
      {"a deadline that is ignored for a close timeout kills",
       ignored_deadline_kills},
      {"its own forced end may come before", kill_time_comes_first},
      {"protect holds cancellation off", protect_holds_off},
      {"another deadline is told again", another_deadline_is_told_again},
      {"a cancellation stays told under other limits", cancellation_stays_told},
  };
  return CHECK_RUN(tests);
}
