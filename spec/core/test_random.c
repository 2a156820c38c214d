/* The whole core in random operations, from outside and from running jobs,
 * compared after each with model.h. A job's memory is freed when it ended.
 * Usage: test_random [seeds [first seed]] */
#include "check.h"

#include "compare.h"
#include "core/loop.h"
#include "model.h"

#define OPS 250

static struct check_range range;
static uint64_t rng;
static int running; /* the job that runs, or NOBODY */

static int below(int bound)
{
  return (int)check_below(&rng, (uint64_t)bound);
}

static bool one_in(int n)
{
  return below(n) == 0;
}

/* Short, so that many fall together; sometimes none, or any. */
static uint64_t random_span(void)
{
  if (one_in(12))
    return one_in(2) ? UJ_NEVER : check_scaled(&rng);
  return (uint64_t)below(8);
}

static uint64_t random_due(void)
{
  return uj_clock_add(m.now_ns, random_span());
}

/* A live job that was admitted, or NOBODY. */
static int any_job(void)
{
  int first = below(JOBS);
  for (int i = 0; i < JOBS; i++) {
    int j = (first + i) % JOBS;
    if (m.job[j].used && m.job[j].state != UJ_JOB_NEW)
      return j;
  }
  return NOBODY;
}

/* --- operations: the model first, it knows which jobs will end --- */

static int new_job(int s)
{
  int j = compare_new(s);
  if (j != NOBODY && one_in(4))
    m.job[j].deadline_ns = job[j]->core.deadline_ns = random_span();
  return j;
}

/* Returns whether the running job blocks in it. */
static bool op_spawn(bool may_block)
{
  int s = below(SCHEDS);
  int j = new_job(s);
  int result;
  if (j == NOBODY)
    return false;
  result = model_spawn(j);
  CHECK_EQ(uj_sched_spawn(&sched[s], &job[j]->core), result);
  if (result == UJ_EFULL && may_block && one_in(2)) {
    model_block(running, j);
    uj_sched_block(&sched[s], &job[j]->core, &job[running]->core);
    return true;
  }
  if (result != UJ_OK)
    compare_discard(j);
  return false;
}

static void op_shield(void)
{
  int s = below(SCHEDS);
  int j = new_job(s);
  int result;
  if (j == NOBODY)
    return;
  result = model_shield(j);
  CHECK_EQ(uj_sched_shield(&sched[s], &job[j]->core), result);
  if (result != UJ_OK)
    compare_discard(j);
}

static void op_wake_queue(void)
{
  int q = below(QUEUES);
  struct list *waiting = &m.queue[q];
  if (one_in(4)) {
    model_wake_all(waiting);
    uj_waitq_wake_all(&queue[q]);
  } else {
    int first = waiting->count == 0 ? NOBODY : waiting->job[0];
    struct uj_job *core = first == NOBODY ? NULL : &job[first]->core;
    if (first != NOBODY)
      model_wake(first, UJ_WAKE_OK);
    CHECK(uj_waitq_first(&queue[q]) == core);
    CHECK(uj_waitq_wake_one(&queue[q]) == core);
  }
}

/* OK to a blocked spawner would be a lie; its scheduler alone says so. */
static void op_wake_job(int j)
{
  bool blocked = m.job[j].place == UJ_AT_WAIT && m.job[j].child != NOBODY;
  enum uj_wake wake = one_in(3) && !blocked ? UJ_WAKE_OK : UJ_WAKE_CLOSED;
  model_wake(j, wake);
  uj_job_wake(&job[j]->core, wake);
}

static void op_cancel(int j)
{
  model_cancel(j);
  uj_job_cancel(&job[j]->core);
}

static void op_close(int j)
{
  uint64_t span_ns = random_span();
  model_close(j, span_ns);
  uj_job_close(&job[j]->core, span_ns);
}

static void op_sched_close(int s, int self)
{
  model_sched_close(s, self);
  uj_sched_close(&sched[s], self == NOBODY ? NULL : &job[self]->core);
}

/* What both a job and the world outside may do. */
static void op_any(void)
{
  int kind = below(20);
  int j = any_job();
  if (kind < 5)
    (void)op_spawn(false);
  else if (kind == 5)
    op_shield();
  else if (kind < 10)
    op_wake_queue();
  else if (kind == 10 && one_in(8))
    op_sched_close(below(SCHEDS), NOBODY);
  else if (kind < 13 && j != NOBODY)
    op_wake_job(j);
  else if (kind < 15 && j != NOBODY)
    op_cancel(j);
  else if (kind < 16 && j != NOBODY)
    op_close(j);
  else if (kind == 16)
    m.now_ns += (uint64_t)below(3);
  compare();
}

static void park(struct list *in, struct uj_waitq *waitq)
{
  uint64_t due_ns = one_in(2) ? UJ_NEVER : random_due();
  model_park(running, in, due_ns);
  uj_job_park(&job[running]->core, waitq, due_ns, UJ_OP_AWAIT);
}

static void park_in_queue(void)
{
  int q = below(QUEUES + 1);
  if (q == QUEUES)
    park(NULL, NULL);
  else
    park(&m.queue[q], &queue[q]);
}

static void park_for_job(int j)
{
  if (j == running || j == NOBODY)
    park_in_queue();
  else
    park(&m.job[j].waiters, &job[j]->core.waiters);
}

/* For another scheduler to be idle; for its own others to end. */
static void park_for_sched(int s)
{
  if (s != m.job[running].sched && count_live(&m.sched[s]) > 0) {
    park(&m.sched[s].idle, &sched[s].idle);
  } else if (s == m.job[running].sched && one_in(2)) {
    if (one_in(2)) {
      op_sched_close(s, running);
      compare();
    }
    model_wait_alone(running);
    uj_sched_wait_alone(&sched[s], &job[running]->core);
  } else {
    park_in_queue();
  }
}

static void op_settings(void)
{
  struct uj_job *core = &job[running]->core;
  struct model_job *model = &m.job[running];
  uint64_t deadline_ns = model->deadline_ns;
  bool protect = model->protect;
  if (one_in(2))
    protect = !protect;
  else
    deadline_ns = one_in(3) ? UJ_NEVER : random_due();
  model_limit(running, deadline_ns, protect);
  uj_job_limit(core, deadline_ns, protect);
}

/* As one who interrupts the running job does. It asks again when it should. */
static void op_overrun(void)
{
  struct uj_job *core = &job[running]->core;
  bool due = uj_job_overrun_due(core) <= m.now_ns;
  enum uj_wake wake = uj_job_overrun(core);
  CHECK_EQ(wake, model_overrun(running));
  CHECK_EQ(due, wake != UJ_WAKE_OK);
  if (wake != UJ_WAKE_OK && wake != UJ_WAKE_KILLED) {
    model_tell(running, wake);
    uj_job_tell(core, wake);
  }
  CHECK_EQ(uj_loop_overrun(&loop), model_expire());
}

static void op_preempt(void)
{
  model_preempt(running);
  uj_job_preempt(&job[running]->core);
}

static void op_yield(void)
{
  model_yield(running);
  uj_job_yield(&job[running]->core);
}

/* One act of the running job; returns whether it suspends. */
static bool op_inside(void)
{
  switch (below(13)) {
  case 0:
    op_yield();
    return true;
  case 1:
  case 2:
    park_in_queue();
    return true;
  case 3:
    park_for_job(any_job());
    return true;
  case 4:
    park_for_sched(below(SCHEDS));
    return true;
  case 5:
    return op_spawn(true);
  case 6:
    op_settings();
    return false;
  case 7:
    op_preempt();
    return true;
  case 8:
    op_overrun();
    return false;
  default:
    op_any();
    return false;
  }
}

/* --- the host --- */

static uint64_t host_now(struct uj_loop *l)
{
  (void)l;
  return m.now_ns;
}

static void run_first(struct uj_job *core)
{
  running = uj_container(core, struct rjob, core)->index;
  CHECK_EQ(running, model_first());
  CHECK_EQ(core->wake, m.job[running].wake);
  model_run(running);
  compare();
}

static enum uj_job_state host_resume(struct uj_loop *l, struct uj_job *core)
{
  static const enum uj_job_state ends[] = {UJ_JOB_DONE, UJ_JOB_FAILED,
                                           UJ_JOB_CANCELLED};
  enum uj_job_state state = UJ_JOB_ACTIVE;
  (void)l;
  run_first(core);
  CHECK(core->wake != UJ_WAKE_KILLED);
  for (;;) {
    if (one_in(8)) {
      state = ends[below(3)];
      model_end(running, state);
      break;
    }
    if (op_inside())
      break;
    compare();
  }
  running = NOBODY;
  return state;
}

static void host_kill(struct uj_loop *l, struct uj_job *core)
{
  (void)l;
  run_first(core);
  CHECK_EQ(core->wake, UJ_WAKE_KILLED);
  op_any(); /* as a <close> handler may */
  model_end(running, UJ_JOB_KILLED);
  running = NOBODY;
}

static void host_ended(struct uj_loop *l, struct uj_job *core)
{
  (void)l;
  compare_end(core);
}

/* --- the world outside --- */

static void turn(void)
{
  model_turn();
  uj_loop_turn(&loop);
  model_turned();
  CHECK_EQ(loop.busy_next, m.busy_next);
  compare();
}

static void op_advance(void)
{
  uint64_t due_ns = uj_loop_due(&loop);
  int next = model_next();
  if (count_ready() > 0)
    CHECK_EQ(due_ns, 0);
  else /* never early: this is no crowd */
    CHECK_EQ(due_ns, next == NOBODY ? UJ_NEVER : m.job[next].limit_ns);
  if (one_in(2) && due_ns > m.now_ns && due_ns - m.now_ns < UINT64_C(1) << 50)
    m.now_ns = due_ns;
  else
    m.now_ns += (uint64_t)below(4);
}

static void init(uint64_t seed)
{
  static const struct uj_host host = {host_now, host_resume, host_kill,
                                      host_ended, NULL};
  rng = seed;
  running = NOBODY;
  memset(&m, 0, sizeof m);
  m.now_ns = check_scaled(&rng) >> 8;
  uj_loop_init(&loop, &host);
  for (int q = 0; q < QUEUES; q++)
    uj_waitq_init(&queue[q]);
  for (int s = 0; s < SCHEDS; s++) {
    struct model_sched *model = &m.sched[s];
    uj_sched_init(&sched[s], &loop);
    model->limit = one_in(4) ? UJ_UNLIMITED : 1 + (uint64_t)below(5);
    model->pending_limit = one_in(5) ? UJ_UNLIMITED : (uint64_t)below(4);
    model->close_ns = (uint64_t)below(8);
    sched[s].limit = model->limit;
    sched[s].pending_limit = model->pending_limit;
    sched[s].close_ns = model->close_ns;
  }
}

/* Nothing outlives the close of the loop and the time that jobs get. */
static void term(void)
{
  for (int s = 0; s < SCHEDS; s++)
    model_sched_close(s, NOBODY);
  uj_loop_close(&loop, UJ_NEVER);
  compare();
  for (int turns = 0; turns < 1000 && uj_loop_live(&loop); turns++) {
    m.now_ns += 4;
    turn();
  }
  CHECK(!uj_loop_live(&loop));
  CHECK(!uj_loop_ready(&loop));
  CHECK_EQ(uj_timers_check(&loop.timers), 0);
  CHECK_EQ(uj_loop_due(&loop), UJ_NEVER);
  for (int s = 0; s < SCHEDS; s++)
    uj_sched_term(&sched[s]);
}

static void round_of(uint64_t seed)
{
  init(seed);
  for (int i = 0; i < OPS; i++) {
    if (one_in(3))
      turn();
    else if (one_in(3))
      op_advance();
    else
      op_any();
  }
  term();
}

static void agrees_with_the_model(void)
{
  check_rounds(range, round_of);
}

int main(int argc, char **argv)
{
  static const struct check_test tests[] = {
      {"does what the model does, in any order of events #M1 #M2 #M3 #M4 #M9",
       agrees_with_the_model},
  };
  range = check_arguments(argc, argv, 300);
  return CHECK_RUN(tests);
}
