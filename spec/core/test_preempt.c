/* core/loop.h, core/job.h: jobs that run on and on: taken off, told to end, and
 * what is done meanwhile for those that wait. */
#include "check.h"

#include "fake_host.h"

static struct fake f;
static struct fake_job *target; /* what the job in a test acts on */
static struct uj_sched small;

/* --- turns --- */

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
  fake_turn(&f); /* the rest of the batch, as if nothing had happened */
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
  CHECK(uj_loop_ready(&f.loop)); /* in `busy`, alone */
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

/* --- ending a preempted job --- */

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
    fake_turn(&f); /* b is in `busy`, a in `preempted` again */
  LOG(&f, "a b a:ok");
  uj_sched_close(&f.sched, NULL);
  CHECK_EQ(a->job.state, UJ_JOB_CLOSING);
  CHECK_EQ(b->job.state, UJ_JOB_CLOSING);
  fake_settle(&f);
  LOG(&f, "b:ok b:cancelled b=done a:ok a:cancelled a=done");
  fake_term(&f);
}

/* --- uj_job_to_raise --- */

/* A job that waits stands for one that runs: nothing here asks for more. */
static struct uj_job *started(void)
{
  fake_init(&f);
  f.sched.close_ns = 10;
  return &spawn_parked("a")->job;
}

/* What an interruption raises in it. */
static enum uj_wake raised(struct uj_job *job)
{
  enum uj_wake wake = uj_job_to_raise(job);
  CHECK_EQ(uj_job_to_raise(job), wake); /* asking changes nothing */
  if (wake != UJ_WAKE_OK && wake != UJ_WAKE_KILLED)
    uj_job_note_raised(job, wake);
  return wake;
}

static void telling_again_brings_no_time(void)
{
  struct uj_job *job = started();
  uj_job_set_limits(job, f.now_ns, false);
  uj_job_note_raised(job,
                     UJ_WAKE_DEADLINE); /* by an operation that was refused */
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
  CHECK_EQ(raised(job), UJ_WAKE_OK); /* nobody closes it */
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
  CHECK_EQ(uj_job_raise_due(job), f.now_ns + 10); /* from being told */
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
  CHECK_EQ(uj_job_raise_due(job), f.now_ns + 4); /* not its close timeout */
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
  uj_job_set_limits(job, f.now_ns + 2, true); /* a timeout in it counts */
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
  uj_job_set_limits(job, inner_ns, false); /* the same one */
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  uj_job_set_limits(job, outer_ns, false);
  CHECK_EQ(uj_job_raise_due(job), outer_ns);
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  f.now_ns += 20; /* it was not told of this one */
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
  CHECK_EQ(raised(job), UJ_WAKE_OK); /* it wins over the deadline */
  CHECK_EQ(uj_job_raise_due(job), UJ_NEVER);
  uj_job_set_limits(job, UJ_NEVER, false);
  CHECK_EQ(raised(job), UJ_WAKE_OK);
  fake_term(&f);
}

/* --- uj_loop_expire --- */

static enum uj_on_abandon leave;

static void leave_target(struct fake_job *job)
{
  job->job.target = &target->job;
  job->job.on_abandon = (uint8_t)leave;
}

static void leave_small(struct fake_job *job)
{
  job->job.target_sched = &small;
  job->job.on_abandon = (uint8_t)leave;
}

static struct act wait_until(struct uj_waitq *waitq, unsigned op,
                             uint64_t due_ns)
{
  struct act act = PARK_UNTIL(waitq, due_ns);
  act.op = op;
  return act;
}

/* A job that waits for the target, for a millisecond. */
static struct fake_job *spawn_waiter(const char *name, enum uj_on_abandon how)
{
  struct fake_job *job;
  leave = how;
  job = SPAWNED(&f, name, CALL(leave_target),
                wait_until(&target->job.waiters, UJ_OP_WAIT, f.now_ns + MS),
                PARK(NULL));
  fake_settle(&f);
  return job;
}

static struct fake_job *init_waiter(enum uj_on_abandon how)
{
  struct fake_job *waiter;
  fake_init(&f);
  target = spawn_parked("t");
  waiter = spawn_waiter("w", how);
  LOG(&f, "t w");
  CHECK_EQ(f.loop.nabandoning, 0);
  return waiter;
}

static bool expire(uint64_t span_ns)
{
  bool any;
  f.now_ns += span_ns;
  any = uj_loop_expire(&f.loop);
  uj_loop_check(&f.loop);
  CHECK_EQ(f.loop.nabandoning, 0);
  return any;
}

static void closes_when_the_time_has_passed(void)
{
  struct fake_job *w = init_waiter(UJ_ABANDON_CLOSE_LATE);
  CHECK(!expire(MS - 1));
  CHECK_EQ(w->job.place, UJ_AT_WAIT);
  CHECK_EQ(target->job.state, UJ_JOB_ACTIVE);
  CHECK(expire(1));
  CHECK(!expire(1)); /* once */
  CHECK_EQ(w->job.on_abandon, UJ_ABANDON_NOTHING);
  CHECK_EQ(target->job.state, UJ_JOB_CLOSING);
  CHECK_EQ(target->job.kill_ns, f.now_ns - 1 + f.sched.close_ns);
  LOG(&f, ""); /* nobody runs */
  fake_settle(&f);
  LOG(&f, "w:timeout t:cancelled t=done");
  fake_term(&f);
}

/* How the wait ends, and whether the target is closed then. */
static void check_leave(enum uj_on_abandon how, enum uj_wake wake, bool closes)
{
  struct fake_job *w = init_waiter(how);
  uj_job_wake(&w->job, wake);
  CHECK_EQ(f.loop.nabandoning, how != UJ_ABANDON_NOTHING);
  CHECK(!expire(0));
  CHECK_EQ(target->job.state, closes ? UJ_JOB_CLOSING : UJ_JOB_ACTIVE);
  fake_term(&f);
}

static void closes_as_it_was_left(void)
{
  for (enum uj_wake wake = UJ_WAKE_OK; wake <= UJ_WAKE_KILLED; wake++) {
    check_leave(UJ_ABANDON_NOTHING, wake, false);
    check_leave(UJ_ABANDON_CLOSE_LATE, wake, wake == UJ_WAKE_TIMEOUT);
    check_leave(UJ_ABANDON_CLOSE, wake, wake != UJ_WAKE_OK);
  }
}

static void leaves_it_to_who_runs(void)
{
  struct fake_job *w = init_waiter(UJ_ABANDON_CLOSE);
  uj_job_cancel(&w->job);
  CHECK_EQ(f.loop.nabandoning, 1);
  fake_turn(&f);
  CHECK_EQ(f.loop.nabandoning, 0);
  CHECK_EQ(w->job.on_abandon, UJ_ABANDON_NOTHING);
  CHECK_EQ(target->job.state, UJ_JOB_ACTIVE);
  CHECK(!expire(0));
  CHECK_EQ(target->job.state, UJ_JOB_ACTIVE);
  fake_term(&f);
}

static void a_refused_wait_is_left_too(void)
{
  struct fake_job *w;
  fake_init(&f);
  target = spawn_parked("t");
  leave = UJ_ABANDON_CLOSE;
  w = SPAWNED(&f, "w", PARK(NULL), CALL(leave_target),
              wait_until(&target->job.waiters, UJ_OP_WAIT, UJ_NEVER));
  fake_settle(&f);
  uj_job_cancel(&w->job);
  fake_turn(&f); /* it is told, and goes to wait all the same */
  CHECK_EQ(f.loop.nabandoning, 1);
  CHECK(!expire(0));
  CHECK_EQ(target->job.state, UJ_JOB_CLOSING);
  LOG(&f, "t w w:cancelled");
  fake_term(&f);
}

static void an_ended_target_is_left_alone(void)
{
  struct fake_job *t;
  fake_init(&f);
  t = target = JOB(&f, "t", PARK(NULL));
  t->kept = true;
  fake_spawn(&f, t);
  fake_settle(&f);
  spawn_waiter("w", UJ_ABANDON_CLOSE);
  SPAWNED(&f, "x", CALL(wake_target), PREEMPT);
  fake_turn(&f);
  CHECK_EQ(f.loop.nabandoning, 0);
  f.now_ns += MS;
  fake_turn(&f); /* w is told; t ends before it runs */
  CHECK_EQ(t->job.state, UJ_JOB_DONE);
  CHECK(!expire(0));
  CHECK_EQ(t->job.state, UJ_JOB_DONE);
  CHECK(!t->job.cancel);
  fake_term(&f);
  free(t);
}

static void a_closed_target_keeps_the_earlier_end(void)
{
  uint64_t kill_ns;
  init_waiter(UJ_ABANDON_CLOSE_LATE);
  uj_job_close(&target->job, 2 * MS);
  kill_ns = target->job.kill_ns;
  CHECK(expire(MS));
  CHECK_EQ(target->job.kill_ns, kill_ns);
  fake_term(&f);
}

static void gives_as_much_as_it_has(void)
{
  struct fake_job *w = init_waiter(UJ_ABANDON_CLOSE);
  uj_job_close(&w->job, 8 * MS);
  CHECK(!expire(0));
  CHECK_EQ(target->job.kill_ns, f.now_ns + 6 * MS);
  fake_term(&f);
}

static struct fake_job *spawn_small(const char *name)
{
  return fake_spawn(
      &f, fake_job_new(&f, &small, name, (const struct act[FAKE_ACTS]){YIELD}));
}

/* The queue is x w y v, and closing for w takes x and y out of it. */
static void closing_takes_jobs_out(void)
{
  struct fake_job *w, *v;
  fake_init(&f);
  fake_sched_init(&f, &small, 10, 10);
  target = spawn_parked("t");
  leave = UJ_ABANDON_CLOSE;
  w = SPAWNED(&f, "w", CALL(leave_small),
              wait_until(&small.idle, UJ_OP_IDLE, UJ_NEVER));
  fake_settle(&f);
  v = spawn_waiter("v", UJ_ABANDON_CLOSE);
  LOG(&f, "t w v");
  spawn_small("x");
  uj_job_cancel(&w->job);
  spawn_small("y");
  uj_job_cancel(&v->job);
  CHECK_EQ(f.loop.nabandoning, 2);
  CHECK(!expire(0));
  CHECK(small.closed);
  CHECK_EQ(target->job.state, UJ_JOB_CLOSING);
  LOG(&f, "x=cancelled y=cancelled");
  fake_term(&f);
  uj_sched_term(&small);
}

static void expire_in(struct fake_job *job)
{
  (void)job;
  CHECK_EQ(f.loop.nabandoning, 2);
  CHECK(!expire(0));
}

/* One is in the batch behind the job that runs, one in the ready queue. */
static void both_queues_are_looked_at(void)
{
  struct fake_job *w, *v, *t;
  w = init_waiter(UJ_ABANDON_CLOSE);
  t = target;
  target = spawn_parked("u");
  v = spawn_waiter("v", UJ_ABANDON_CLOSE);
  SPAWNED(&f, "h", PREEMPT);
  SPAWNED(&f, "i", CALL(expire_in), PREEMPT);
  uj_job_cancel(&w->job);
  f.log[0] = '\0';
  fake_turn(&f);
  LOG(&f, "h"); /* the rest of the batch: i w */
  CHECK(!uj_link_empty(&f.loop.batch));
  uj_job_cancel(&v->job);
  fake_turn(&f);
  CHECK_EQ(t->job.state, UJ_JOB_CLOSING);
  CHECK_EQ(target->job.state, UJ_JOB_CLOSING);
  LOG(&f, "i");
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
      {"what a late waiter closes is closed while a job runs #M8",
       closes_when_the_time_has_passed},
      {"it depends on how the wait ended", closes_as_it_was_left},
      {"a waiter that runs first closes by itself", leaves_it_to_who_runs},
      {"a wait that is refused is one that was left",
       a_refused_wait_is_left_too},
      {"a target that has ended is left alone", an_ended_target_is_left_alone},
      {"a target that is closed keeps the earlier end",
       a_closed_target_keeps_the_earlier_end},
      {"a waiter that is closed gives part of its time",
       gives_as_much_as_it_has},
      {"closing may take jobs out of the queue", closing_takes_jobs_out},
      {"those in the batch close, and those behind it",
       both_queues_are_looked_at},
  };
  return CHECK_RUN(tests);
}
