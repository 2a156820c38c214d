/* core/turn.h: jobs on top of which others run, in the middle of their own run.
 */
#include "check.h"

#include "fake_host.h"

static struct fake f;
static struct fake_job *target; /* the job that a test wakes or closes */
static struct uj_sched other;

static void turn_until_due(const struct fake_job *job)
{
  while (uj_loop_is_covering(&f.loop, &job->job)) {
    CHECK(!uj_job_ended(&job->job));
    fake_turn(&f);
  }
}

/* ACT_CALL: is what a host does with a job that it cannot take off. */
static void cover(struct fake_job *job)
{
  uint64_t covers;
  fake_log(&f, job->name, "(", "");
  uj_loop_cover(&f.loop, &job->job);
  covers = f.loop.covers;
  turn_until_due(job);
  if (f.loop.covers != covers) {
    fake_log(&f, job->name, "|", "");
    uj_loop_cover_again(&f.loop, &job->job);
    turn_until_due(job);
  }
  CHECK_EQ(job->job.place, UJ_AT_NONE);
  fake_log(&f, job->name, ")", "");
}

static void goes_on_at_once_when_it_is_alone(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(cover), CALL(cover), END(DONE));
  fake_turn(&f);
  LOG(&f, "a a( a) a( a) a=done");
  CHECK(!uj_loop_ready(&f.loop));
  CHECK_EQ(f.loop.preemptions, 2);
  fake_term(&f);
}

static void goes_on_when_all_that_were_ready_have_run(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(cover), END(DONE));
  SPAWNED(&f, "b", YIELD);
  SPAWNED(&f, "c", END(FAILED));
  fake_turn(&f);
  LOG(&f, "a a( b c c=failed b:ok b=done a) a=done");
  fake_term(&f);
}

static void has_its_turn_among_those_that_are_preempted(void)
{
  fake_init(&f);
  SPAWNED(&f, "A", PREEMPT, PREEMPT, PREEMPT);
  SPAWNED(&f, "c", CALL(cover), CALL(cover), END(DONE));
  SPAWNED(&f, "B", PREEMPT, PREEMPT, PREEMPT);
  fake_settle(&f);
  LOG(&f, "A c c( B A:ok c) c( B:ok A:ok c) c=done B:ok A:ok A=done B:ok "
          "B=done");
  fake_term(&f);
}

static void ends_the_turn_in_which_it_ran(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(cover), YIELD);
  SPAWNED(&f, "b", YIELD, YIELD, YIELD);
  fake_turn(&f);
  LOG(&f, "a a( b b:ok a)");
  fake_turn(&f); /* what is ready now did not run in the turn of `a` */
  LOG(&f, "b:ok a:ok a=done");
  fake_settle(&f);
  LOG(&f, "b:ok b=done");
  fake_term(&f);
}

static void hears_of_timers_meanwhile(void)
{
  fake_init(&f);
  SPAWNED(&f, "s", SLEEP(MS));
  fake_turn(&f);
  SPAWNED(&f, "a", CALL(cover), END(DONE));
  f.now_ns += 2 * MS;
  fake_turn(&f);
  LOG(&f, "s a a( s:timeout s=done a) a=done");
  fake_term(&f);
}

static void goes_on_below_when_those_on_top_have_come_back(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(cover), END(DONE));
  SPAWNED(&f, "b", CALL(cover), CALL(cover), YIELD);
  SPAWNED(&f, "c", CALL(cover), END(DONE));
  SPAWNED(&f, "d", YIELD);
  fake_turn(&f);
  LOG(&f, "a a( b b( c c( d d:ok d=done c) c=done b| b) b( b) a| b:ok b=done "
          "a) a=done");
  fake_term(&f);
}

static void lets_those_run_that_are_ready_between_two_slices(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", CALL(cover), PREEMPT, END(DONE));
  SPAWNED(&f, "b", CALL(cover), PREEMPT, END(DONE));
  SPAWNED(&f, "c", CALL(cover), PREEMPT, END(DONE));
  SPAWNED(&f, "y", YIELD, YIELD, YIELD, YIELD, YIELD, YIELD, YIELD);
  fake_turn(&f);
  LOG(&f, "a a( b b( c c( y y:ok c) b| y:ok b) a| y:ok a)");
  fake_settle(&f);
  LOG(&f, "c:ok c=done y:ok b:ok b=done y:ok a:ok a=done y:ok y:ok y=done");
  fake_term(&f);
}

static void close_target(struct fake_job *job)
{
  (void)job;
  uj_job_close(&target->job, 5 * MS);
}

static void note_reason(struct fake_job *job)
{
  static const char *const wakes[] = {"ok",        "timeout", "deadline",
                                      "cancelled", "closed",  "killed"};
  fake_log(&f, job->name, "?", wakes[uj_job_to_raise(&job->job)]);
}

static void let_time_pass(struct fake_job *job)
{
  (void)job;
  f.now_ns += 5 * MS;
}

static void hears_that_it_was_closed_when_it_goes_on(void)
{
  fake_init(&f);
  target = SPAWNED(&f, "a", CALL(cover), CALL(note_reason), CALL(cover),
                   CALL(note_reason), END(KILLED));
  SPAWNED(&f, "b", CALL(close_target), PREEMPT, CALL(let_time_pass), END(DONE));
  fake_turn(&f);
  LOG(&f, "a a( b a) a?cancelled a( b:ok b=done a) a?killed a=killed");
  fake_term(&f);
}

static void wait_for_target(struct fake_job *job)
{
  job->job.target = &target->job;
}

static void is_waited_for_by_those_on_top(void)
{
  fake_init(&f);
  target = SPAWNED(&f, "a", CALL(cover), CALL(cover), END(DONE));
  SPAWNED(&f, "b", CALL(wait_for_target),
          (struct act){.kind = ACT_PARK,
                       .waitq = &target->job.waiters,
                       .op = UJ_OP_WAIT,
                       .due_ns = UJ_NEVER},
          END(DONE));
  fake_settle(&f);
  LOG(&f, "a a( b a) a( a) a=done b:ok b=done");
  fake_term(&f);
}

static void close_other(struct fake_job *job)
{
  (void)job;
  uj_sched_close(&other, NULL);
}

static void may_be_one_of_a_scheduler_that_is_closed(void)
{
  fake_init(&f);
  fake_sched_init(&f, &other, 1, 1);
  (void)fake_spawn(
      &f, fake_job_new(&f, &other, "a",
                       (const struct act[FAKE_ACTS]){
                           CALL(cover), CALL(note_reason), END(CANCELLED)}));
  (void)fake_spawn(&f, fake_job_new(&f, &other, "p",
                                    (const struct act[FAKE_ACTS]){END(DONE)}));
  SPAWNED(&f, "b", CALL(close_other), END(DONE));
  fake_settle(&f);
  LOG(&f, "a a( b p=cancelled b=done a) a?cancelled a=cancelled");
  fake_term(&f);
  uj_sched_term(&other);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a covered job goes on at once when it is alone",
       goes_on_at_once_when_it_is_alone},
      {"it goes on when all that were ready have run",
       goes_on_when_all_that_were_ready_have_run},
      {"it has its turn among those that are preempted",
       has_its_turn_among_those_that_are_preempted},
      {"it ends the turn in which it ran #M11", ends_the_turn_in_which_it_ran},
      {"it hears of timers meanwhile", hears_of_timers_meanwhile},
      {"it goes on, below others, when those on top have come back",
       goes_on_below_when_those_on_top_have_come_back},
      {"those that are ready run between the slices of two that leave C",
       lets_those_run_that_are_ready_between_two_slices},
      {"it hears that it was closed when it goes on",
       hears_that_it_was_closed_when_it_goes_on},
      {"it is waited for by those on top", is_waited_for_by_those_on_top},
      {"it may be one of a scheduler that is closed",
       may_be_one_of_a_scheduler_that_is_closed},
  };
  return CHECK_RUN(tests);
}
