/* core/turn.h: jobs that are preempted, and their turns. */
#include "check.h"

#include "fake_host.h"

static struct fake f;
static struct fake_job *target; /* the job that a test cancels or closes */
static struct uj_sched small;

static void is_ready_but_waits(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", PREEMPT);
  fake_turn(&f);
  CHECK_EQ(a->job.state, UJ_JOB_ACTIVE);
  CHECK_EQ(a->job.place, UJ_AT_READY);
  CHECK_EQ(a->job.op, UJ_OP_PREEMPTED);
  CHECK_EQ(a->job.preemptions, 1);
  CHECK_EQ(uj_loop_due(&f.loop), 0);
  uj_job_wake(&a->job, UJ_WAKE_TIMEOUT);
  fake_settle(&f);
  LOG(&f, "a a:ok a=done");
  fake_term(&f);
}

static void ends_the_turn(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", YIELD);
  SPAWNED(&f, "b", PREEMPT);
  SPAWNED(&f, "c", END(DONE));
  SPAWNED(&f, "d", YIELD);
  fake_turn(&f);
  LOG(&f, "a b");
  fake_turn(&f); /* this turn runs the rest of the batch */
  LOG(&f, "c c=done d");
  fake_turn(&f);
  LOG(&f, "a:ok a=done d:ok d=done");
  fake_turn(&f);
  LOG(&f, "b:ok b=done");
  CHECK(!uj_loop_ready(&f.loop));
  fake_term(&f);
}

static void takes_turns(void)
{
  fake_init(&f);
  SPAWNED(&f, "A", PREEMPT, PREEMPT, PREEMPT);
  SPAWNED(&f, "B", PREEMPT, PREEMPT);
  SPAWNED(&f, "y", YIELD, YIELD, YIELD, YIELD, YIELD, YIELD);
  fake_settle(&f);
  LOG(&f, "A B y y:ok A:ok y:ok B:ok y:ok A:ok y:ok B:ok B=done y:ok A:ok "
          "A=done y:ok y=done");
  CHECK_EQ(f.loop.preemptions, 5);
  fake_term(&f);
}

static struct fake_job *spawn_parked(const char *name)
{
  struct fake_job *job = SPAWNED(&f, name, PARK(NULL));
  fake_settle(&f);
  return job;
}

static void wake_target(struct fake_job *job)
{
  (void)job;
  uj_job_wake(&target->job, UJ_WAKE_OK);
}

static void waits_for_all_that_were_ready(void)
{
  fake_init(&f);
  target = spawn_parked("t");
  SPAWNED(&f, "a", CALL(wake_target), PREEMPT);
  SPAWNED(&f, "b", YIELD);
  fake_settle(&f);
  LOG(&f, "t a b t:ok t=done b:ok b=done a:ok a=done");
  fake_term(&f);
}

static void wakes_others_in_its_turn(void)
{
  fake_init(&f);
  target = spawn_parked("t");
  SPAWNED(&f, "a", PREEMPT, CALL(wake_target), PREEMPT, END(DONE));
  SPAWNED(&f, "b", PREEMPT);
  fake_settle(&f);
  LOG(&f, "t a b a:ok t:ok t=done b:ok b=done a:ok a=done");
  fake_term(&f);
}

static void deadlines_come_first(void)
{
  fake_init(&f);
  SPAWNED(&f, "s", SLEEP(MS));
  SPAWNED(&f, "a", PREEMPT);
  fake_turn(&f);
  fake_advance(&f, MS);
  LOG(&f, "s a s:timeout s=done");
  fake_turn(&f);
  LOG(&f, "a:ok a=done");
  fake_term(&f);
}

static void tells_whose_turn_it_is(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", PREEMPT, PREEMPT);
  SPAWNED(&f, "b", END(DONE));
  fake_turn(&f);
  CHECK(!f.loop.busy_next); /* b has not run */
  fake_turn(&f);
  CHECK(f.loop.busy_next);
  CHECK(!uj_link_empty(&f.loop.preempted) && uj_link_empty(&f.loop.busy));
  LOG(&f, "a b b=done");
  fake_turn(&f);
  CHECK(!f.loop.busy_next); /* a has had its turn */
  LOG(&f, "a:ok");
  fake_settle(&f);
  LOG(&f, "a:ok a=done");
  fake_term(&f);
}

static void takes_no_empty_turn(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", PREEMPT, PREEMPT, PREEMPT);
  SPAWNED(&f, "b", PREEMPT);
  for (int turn = 0; turn < 6; turn++)
    fake_turn(&f);
  LOG(&f, "a b a:ok b:ok b=done a:ok a:ok a=done");
  CHECK(!uj_loop_ready(&f.loop));
  fake_term(&f);
}

static void gives_way_to_who_becomes_ready(void)
{
  fake_init(&f);
  target = spawn_parked("t");
  SPAWNED(&f, "a", PREEMPT, PREEMPT, PREEMPT);
  fake_turn(&f);
  fake_turn(&f);
  LOG(&f, "t a a:ok");
  uj_job_wake(&target->job, UJ_WAKE_OK);
  fake_turn(&f);
  LOG(&f, "t:ok t=done");
  fake_settle(&f);
  LOG(&f, "a:ok a:ok a=done");
  fake_term(&f);
}

static void counts_the_ready(void)
{
  fake_init(&f);
  SPAWNED(&f, "a", PREEMPT, END(DONE));
  SPAWNED(&f, "b", PREEMPT);
  SPAWNED(&f, "c", YIELD);
  CHECK_EQ(uj_loop_count_ready(&f.loop), 3);
  for (int turn = 0; turn < 4; turn++) {
    fake_turn(&f);
    CHECK_EQ(uj_loop_count_ready(&f.loop), turn < 3 ? 3 : 2);
    CHECK(uj_loop_ready(&f.loop));
  }
  fake_turn(&f);
  CHECK_EQ(uj_loop_count_ready(&f.loop), 1);
  CHECK(uj_loop_ready(&f.loop)); /* it is alone in `busy` */
  fake_settle(&f);
  CHECK_EQ(uj_loop_count_ready(&f.loop), 0);
  LOG(&f, "a b c c:ok c=done a:ok a=done b:ok b=done");
  fake_term(&f);
}

static void counts_what_it_does(void)
{
  struct fake_job *full, *closed;
  fake_init(&f);
  fake_sched_init(&f, &small, 1, 0);
  CHECK_EQ(f.loop.turns + f.loop.spawned + f.loop.preemptions, 0);
  SPAWNED(&f, "a", PREEMPT, PREEMPT);
  fake_spawn(&f, fake_job_new(&f, &small, "b",
                              (const struct act[FAKE_ACTS]){PARK(NULL)}));
  full = fake_job_new(&f, &small, "c", (const struct act[FAKE_ACTS]){YIELD});
  CHECK_EQ(uj_sched_spawn(&small, &full->job), UJ_EFULL);
  CHECK_EQ(f.loop.spawned, 2);
  CHECK_EQ(uj_sched_shield(&small, &full->job), UJ_OK);
  CHECK_EQ(f.loop.spawned, 3);
  uj_sched_close(&small, NULL);
  closed = fake_job_new(&f, &small, "d", (const struct act[FAKE_ACTS]){YIELD});
  CHECK_EQ(uj_sched_spawn(&small, &closed->job), UJ_ECLOSED);
  CHECK_EQ(uj_sched_shield(&small, &closed->job), UJ_ECLOSED);
  CHECK_EQ(f.loop.spawned, 3);
  free(closed);
  CHECK_EQ(f.loop.turns, 0);
  for (int turn = 1; turn <= 7; turn++) {
    fake_turn(&f);
    CHECK_EQ(f.loop.turns, turn);
  }
  CHECK_EQ(f.loop.preemptions, 2);
  fake_term(&f);
  uj_sched_term(&small);
}

static void is_told_when_it_goes_on(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", PREEMPT, PARK(NULL));
  fake_turn(&f);
  uj_job_cancel(&a->job);
  CHECK_EQ(a->job.state, UJ_JOB_CLOSING);
  CHECK_EQ(a->job.place, UJ_AT_READY);
  CHECK_EQ(a->job.wake, UJ_WAKE_OK);
  fake_settle(&f);
  LOG(&f, "a a:ok a:cancelled a=done");
  fake_term(&f);
}

static void is_killed_at_its_next_operation(void)
{
  struct fake_job *a;
  fake_init(&f);
  a = SPAWNED(&f, "a", PREEMPT, YIELD);
  fake_turn(&f);
  uj_job_close(&a->job, MS);
  CHECK_EQ(a->job.kill_ns, f.now_ns + MS);
  CHECK(!uj_timer_armed(&a->job.timer));
  fake_advance(&f, MS);
  CHECK_EQ(uj_job_to_raise(&a->job), UJ_WAKE_KILLED);
  fake_settle(&f);
  LOG(&f, "a a:ok a! a=killed");
  fake_term(&f);
}

static void closing_its_scheduler_reaches_it(void)
{
  struct fake_job *a, *b;
  fake_init(&f);
  a = SPAWNED(&f, "a", PREEMPT, PREEMPT, YIELD);
  b = SPAWNED(&f, "b", PREEMPT, YIELD);
  for (int turn = 0; turn < 3; turn++)
    fake_turn(&f); /* now b is in `busy`, and a in `preempted` again */
  LOG(&f, "a b a:ok");
  uj_sched_close(&f.sched, NULL);
  CHECK_EQ(a->job.state, UJ_JOB_CLOSING);
  CHECK_EQ(b->job.state, UJ_JOB_CLOSING);
  fake_settle(&f);
  LOG(&f, "b:ok b:cancelled b=done a:ok a:cancelled a=done");
  fake_term(&f);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a preempted job is ready, and nothing wakes it", is_ready_but_waits},
      {"a preemption ends the turn, and the next runs the rest", ends_the_turn},
      {"preempted jobs take turns, one after each pass", takes_turns},
      {"all that were ready before run first", waits_for_all_that_were_ready},
      {"what it wakes in its turn runs before the next of them",
       wakes_others_in_its_turn},
      {"deadlines pass before it goes on #M11", deadlines_come_first},
      {"knows whether the batch has run", tells_whose_turn_it_is},
      {"preempted jobs with nobody beside them take no empty turns",
       takes_no_empty_turn},
      {"a preempted job gives way to one that has become ready",
       gives_way_to_who_becomes_ready},
      {"counts preempted jobs as ready", counts_the_ready},
      {"counts turns, preemptions and admitted jobs", counts_what_it_does},
      {"a preempted job that is cancelled is told when it goes on",
       is_told_when_it_goes_on},
      {"a preempted job that is closed is killed when it suspends #M8",
       is_killed_at_its_next_operation},
      {"closing a scheduler closes its preempted jobs #M9",
       closing_its_scheduler_reaches_it},
  };
  return CHECK_RUN(tests);
}
