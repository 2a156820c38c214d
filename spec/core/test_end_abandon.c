/* core/end.h, core/turn.h: what a waiter that left too early closes, while
 * another job holds the loop. */
#include "check.h"

#include "fake_host.h"

static struct fake f;
static struct fake_job *target; /* the job that is waited for in a test */
static struct uj_sched small;

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
  CHECK(!expire(1)); /* it is closed once only */
  CHECK_EQ(w->job.on_abandon, UJ_ABANDON_NOTHING);
  CHECK_EQ(target->job.state, UJ_JOB_CLOSING);
  CHECK_EQ(target->job.kill_ns, f.now_ns - 1 + f.sched.close_ns);
  LOG(&f, ""); /* no job has run */
  fake_settle(&f);
  LOG(&f, "w:timeout t:cancelled t=done");
  fake_term(&f);
}

/* Checks for a way to end the wait whether the target is closed. */
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

static void is_closed_for_one_that_is_killed(void)
{
  for (enum uj_on_abandon how = UJ_ABANDON_NOTHING; how <= UJ_ABANDON_CLOSE;
       how++) {
    struct fake_job *w = init_waiter(how);
    uj_job_wake(&w->job, UJ_WAKE_KILLED);
    fake_turn(&f);
    LOG(&f, "w! w=killed");
    CHECK_EQ(f.loop.nabandoning, 0);
    CHECK_EQ(target->job.state,
             how == UJ_ABANDON_CLOSE ? UJ_JOB_CLOSING : UJ_JOB_ACTIVE);
    fake_term(&f);
  }
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
  fake_turn(&f); /* it is cancelled, and begins to wait all the same */
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
  fake_turn(&f); /* w is cancelled, and t ends before w runs */
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

/* One waiter is in the batch behind the job that runs, the other in the ready
 * queue. */
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
  LOG(&f, "h"); /* this turn runs i and w, the rest of the batch */
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
      {"what a late waiter closes is closed while a job runs #M8",
       closes_when_the_time_has_passed},
      {"it depends on how the wait ended", closes_as_it_was_left},
      {"a waiter that runs first closes by itself", leaves_it_to_who_runs},
      {"it is closed for a waiter that is killed",
       is_closed_for_one_that_is_killed},
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
