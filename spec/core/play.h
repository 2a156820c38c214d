/* The whole core in random operations, from outside and from running jobs,
 * compared after each with model.h. A job's memory is freed when it ended. */
#ifndef SPEC_CORE_PLAY_H
#define SPEC_CORE_PLAY_H

#include "check.h"

#include "core/admit.h"
#include "core/end.h"
#include "core/turn.h"
#include "play_base.h"
#include "play_things.h"

#define PLAY_MOST_NS (UINT64_C(1) << 62) /* how far the clock is set */

/* --- operations: the model does each first, and expects the ends of jobs ---
 */

static inline void advance(uint64_t span_ns)
{
  if (uj_clock_add(m.now_ns, span_ns) <= PLAY_MOST_NS)
    m.now_ns += span_ns;
  say("the clock has gone on by %" PRIu64, span_ns);
}

static inline int new_job(int s)
{
  int j = compare_new(s);
  if (j != NOBODY && one_in(4))
    m.job[j].deadline_ns = job[j]->core.deadline_ns = random_span();
  return j;
}

/* Returns whether the running job blocks. */
static inline bool op_spawn(bool may_block)
{
  int s = below(SCHEDS);
  int j = new_job(s);
  int result;
  if (j == NOBODY)
    return false;
  result = model_spawn(j);
  say("spawn %d in scheduler %d, timeout %" PRIu64 ": %d", j, s,
      m.job[j].deadline_ns, result);
  CHECK_EQ(uj_sched_spawn(&sched[s], &job[j]->core), result);
  if (result == UJ_EFULL && may_block && one_in(2)) {
    say("blocks");
    model_block(play.running, j);
    uj_sched_block(&sched[s], &job[j]->core, core_of(play.running));
    return true;
  }
  if (result != UJ_OK)
    compare_discard(j);
  return false;
}

static inline void op_shield(void)
{
  int s = below(SCHEDS);
  int j = new_job(s);
  int result;
  if (j == NOBODY)
    return;
  result = model_shield(j);
  say("shield %d in scheduler %d: %d", j, s, result);
  CHECK_EQ(uj_sched_shield(&sched[s], &job[j]->core), result);
  if (result != UJ_OK)
    compare_discard(j);
}

static inline void op_wake_queue(void)
{
  int q = below(QUEUES);
  struct list *waiting = &m.queue[q];
  if (one_in(4)) {
    say("wake all in queue %d", q);
    model_wake_all(waiting);
    uj_waitq_wake_all(&queue[q]);
  } else {
    int first = waiting->count == 0 ? NOBODY : waiting->job[0];
    struct uj_job *core = core_of(first);
    say("wake one in queue %d: %d", q, first);
    if (first != NOBODY)
      model_wake(first, UJ_WAKE_OK);
    CHECK(uj_waitq_first(&queue[q]) == core);
    CHECK(uj_waitq_wake_one(&queue[q]) == core);
  }
}

/* Only a scheduler may wake a blocked spawner with UJ_WAKE_OK, and only the
 * owner of a thing may wake so a job that it hands the thing to. */
static inline void op_wake_job(int j)
{
  const struct model_job *model = &m.job[j];
  bool lies = model->child != NOBODY || model->owns || model->paused;
  enum uj_wake wake = one_in(3) && !(model->place == UJ_AT_WAIT && lies)
                          ? UJ_WAKE_OK
                          : UJ_WAKE_CLOSED;
  say("wake %d: %d", j, (int)wake);
  model_wake(j, wake);
  uj_job_wake(&job[j]->core, wake);
}

static inline void op_cancel(int j)
{
  say("cancel %d", j);
  model_cancel(j);
  uj_job_cancel(&job[j]->core);
}

static inline void op_close(int j)
{
  uint64_t span_ns = random_span();
  if (play.running != NOBODY && one_in(2)) {
    uint64_t grace_ns = model_grace(play.running, span_ns);
    CHECK_EQ(uj_job_grace(core_of(play.running), span_ns), grace_ns);
    span_ns = grace_ns;
  }
  say("close %d within %" PRIu64, j, span_ns);
  model_close(j, span_ns);
  uj_job_close(&job[j]->core, span_ns);
}

static inline void op_sched_close(int s, int self)
{
  if (one_in(3)) {
    uint64_t span_ns = random_span();
    say("close scheduler %d within %" PRIu64 ", by %d", s, span_ns, self);
    model_sched_close_within(s, self, span_ns);
    uj_sched_close_within(&sched[s], core_of(self), span_ns);
  } else {
    say("close scheduler %d, by %d", s, self);
    model_sched_close(s, self);
    uj_sched_close(&sched[s], core_of(self));
  }
}

static inline void op_loop_close(void)
{
  if (one_in(2)) {
    uint64_t span_ns = random_span();
    say("close the loop within %" PRIu64, span_ns);
    model_loop_close(span_ns, false);
    uj_loop_close(&loop, span_ns);
  } else {
    say("close what is open");
    model_loop_close(UJ_NEVER, true);
    uj_loop_close_open(&loop);
  }
}

static inline void op_closes(void)
{
  if (one_in(8))
    op_loop_close();
  else
    op_sched_close(below(SCHEDS), one_in(2) ? play.running : NOBODY);
}

static inline void init_sched(int s)
{
  struct model_sched *model = &m.sched[s];
  uj_sched_init(&sched[s], &loop);
  *model = (struct model_sched){.limit = UJ_UNLIMITED};
  if (!one_in(4))
    model->limit = 1 + (uint64_t)below(5);
  model->pending_limit = one_in(5) ? UJ_UNLIMITED : (uint64_t)below(4);
  model->close_ns = one_in(6) ? random_scaled() : (uint64_t)below(8);
  uj_sched_set_limit(&sched[s], model->limit);
  uj_sched_set_pending_limit(&sched[s], model->pending_limit);
  sched[s].close_ns = model->close_ns;
  if (one_in(3))
    sched[s].timed = true;
  sched[s].since_ns = model->since_ns = m.now_ns;
  list_push(&m.order, s);
}

/* What the owner of a scheduler may change while it is in use. */
static inline void op_set_sched(int s)
{
  uint64_t limit = one_in(4) ? UJ_UNLIMITED : 1 + (uint64_t)below(5);
  uint64_t places = one_in(5) ? UJ_UNLIMITED : (uint64_t)below(4);
  struct model_sched *model = &m.sched[s];
  switch (below(4)) {
  case 0:
    say("limit of scheduler %d: %" PRIu64, s, limit);
    model_set_limits(model, limit, model->pending_limit);
    uj_sched_set_limit(&sched[s], limit);
    break;
  case 1:
    say("pending limit of scheduler %d: %" PRIu64, s, places);
    model_set_limits(model, model->limit, places);
    uj_sched_set_pending_limit(&sched[s], places);
    break;
  case 2:
    say("pause scheduler %d", s);
    model_pause(model);
    uj_sched_pause(&sched[s]);
    break;
  default:
    say("resume scheduler %d", s);
    model_resume(model);
    uj_sched_resume(&sched[s]);
  }
}

/* Replaces a closed scheduler that nobody refers to, so that a round goes on
 * after all have been closed. */
static inline void op_renew(int s)
{
  struct model_sched *model = &m.sched[s];
  if (play.ending || !model->closed || count_live(model) > 0 ||
      model->idle.count > 0)
    return;
  for (int j = 0; j < JOBS; j++)
    if (m.job[j].used && (m.job[j].sched == s || m.job[j].abandoned_sched == s))
      return;
  say("another scheduler %d", s);
  uj_sched_term(&sched[s]);
  uj_sched_term(&sched[s]);
  list_remove(&m.order, s);
  init_sched(s);
}

/* An operation that both a job and the world outside may do. */
static inline void op_any(void)
{
  int kind = below(26);
  int j = any_job();
  if (kind < 5)
    (void)op_spawn(false);
  else if (kind == 5)
    op_shield();
  else if (kind < 9)
    op_wake_queue();
  else if (kind == 9)
    op_renew(below(SCHEDS));
  else if (kind == 10 && one_in(8))
    op_closes();
  else if (kind < 13 && j != NOBODY)
    op_wake_job(j);
  else if (kind < 15 && j != NOBODY)
    op_cancel(j);
  else if (kind < 16 && j != NOBODY)
    op_close(j);
  else if (kind == 25)
    op_set_sched(below(SCHEDS));
  else if (kind == 16)
    advance(one_in(20) ? random_scaled() : (uint64_t)below(3));
  else
    op_thing();
  compare();
}

/* The running job will close a job or a scheduler if it stops waiting too
 * early.
 */
static inline void set_on_abandon(int j, int s)
{
  enum uj_on_abandon leave =
      one_in(2) ? UJ_ABANDON_CLOSE : UJ_ABANDON_CLOSE_LATE;
  struct model_job *model = &m.job[play.running];
  struct uj_job *core = core_of(play.running);
  say("is to close job %d or scheduler %d: %d", j, s, (int)leave);
  model->on_abandon = leave;
  core->on_abandon = (unsigned)leave & 3;
  model->abandoned_job = j;
  model->abandoned_sched = s;
  if (j != NOBODY)
    core->target = core_of(j);
  else
    core->target_sched = &sched[s];
}

static inline void park_in_queue(void)
{
  int q = below(QUEUES + 1);
  if (one_in(8))
    set_on_abandon(NOBODY, below(SCHEDS));
  if (q == QUEUES)
    park(NULL, NULL, UJ_OP_HOST);
  else
    park(&m.queue[q], &queue[q], UJ_OP_HOST);
}

static inline void park_for_job(int j)
{
  if (j == play.running || j == NOBODY) {
    park_in_queue();
    return;
  }
  if (one_in(2))
    set_on_abandon(j, NOBODY);
  say("waits for job %d", j);
  park(&m.job[j].waiters, &job[j]->core.waiters, UJ_OP_WAIT);
}

/* Waits until another scheduler is idle, or until the other jobs of its own
 * have ended. */
static inline void park_for_sched(int s)
{
  int self = play.running;
  if (s != m.job[self].sched && count_live(&m.sched[s]) > 0) {
    if (one_in(2))
      set_on_abandon(NOBODY, s);
    say("waits for scheduler %d", s);
    park(&m.sched[s].idle, &sched[s].idle, UJ_OP_IDLE);
  } else if (s == m.job[self].sched && one_in(2)) {
    if (one_in(2)) {
      op_sched_close(s, self);
      compare();
    }
    say("waits for the others of scheduler %d", s);
    model_wait_alone(self);
    uj_sched_wait_alone(&sched[s], core_of(self));
  } else {
    park_in_queue();
  }
}

/* It may have passed, as when an inner scope ends and an outer one holds again.
 */
static inline uint64_t random_deadline(void)
{
  uint64_t past_ns = (uint64_t)below(8);
  if (one_in(3))
    return UJ_NEVER;
  return one_in(4) && past_ns < m.now_ns ? m.now_ns - past_ns : random_due();
}

static inline void op_settings(void)
{
  const struct model_job *model = &m.job[play.running];
  uint64_t deadline_ns = model->deadline_ns;
  bool protect = model->protect;
  if (one_in(2))
    protect = !protect;
  else
    deadline_ns = random_deadline();
  if (one_in(2)) {
    say("deadline %" PRIu64 ", protect %d", deadline_ns, protect);
    model_set_job_limits(play.running, deadline_ns, protect);
    uj_job_set_limits(core_of(play.running), deadline_ns, protect);
  } else {
    say("again: deadline %" PRIu64 ", protect %d", deadline_ns, protect);
    model_leave_limits(play.running, deadline_ns, protect);
    uj_job_leave_limits(core_of(play.running), deadline_ns, protect);
  }
}

/* Does what the hook of a busy job does, and checks that it would look in time.
 */
static inline void op_raise(void)
{
  struct uj_job *core = core_of(play.running);
  bool due = uj_job_raise_due(core) <= m.now_ns;
  enum uj_wake wake = uj_job_to_raise(core);
  bool any;
  say("is interrupted: %d", (int)wake);
  CHECK_EQ(wake, model_to_raise(play.running));
  CHECK_EQ(due, wake != UJ_WAKE_OK);
  if (wake != UJ_WAKE_OK && wake != UJ_WAKE_KILLED) {
    model_note_raised(play.running, wake);
    uj_job_note_raised(core, wake);
    CHECK_EQ(uj_job_to_raise(core), model_to_raise(play.running));
  }
  any = model_loop_expire();
  CHECK_EQ(uj_loop_expire(&loop), any);
}

static inline void op_preempt(void)
{
  say("is preempted");
  model_preempt(play.running);
  uj_job_preempt(core_of(play.running));
}

static inline void op_yield(void)
{
  say("yields");
  model_yield(play.running);
  uj_job_yield(core_of(play.running));
}

/* One act of the running job; returns whether it suspends. */
static inline bool op_inside(void)
{
  switch (below(16)) {
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
    op_raise();
    return false;
  case 9:
  case 10:
    return op_thing_inside();
  default:
    op_any();
    return false;
  }
}

/* --- the host --- */

static inline uint64_t host_now(struct uj_loop *l)
{
  (void)l;
  return m.now_ns;
}

static inline void run_first(struct uj_job *core)
{
  play.running = uj_container(core, struct rjob, core)->index;
  play.ops++;
  say("runs: %d", (int)core->wake);
  CHECK_EQ(play.running, model_first());
  CHECK_EQ(core->wake, m.job[play.running].wake);
  model_run(play.running);
  compare();
}

/* Whether the running job ignores once more that it is refused. */
static inline bool is_stubborn(struct model_job *model)
{
  if (model->stubborn == 0 && !play_used_up() && one_in(40))
    model->stubborn = 90 + below(40);
  if (model->stubborn == 0 || model_interrupted(play.running) == UJ_WAKE_OK)
    return false;
  model->stubborn--;
  return true;
}

static inline enum uj_job_state host_resume(struct uj_loop *l,
                                            struct uj_job *core)
{
  static const enum uj_job_state ends[] = {UJ_JOB_DONE, UJ_JOB_FAILED,
                                           UJ_JOB_CANCELLED};
  enum uj_job_state state = UJ_JOB_ACTIVE;
  (void)l;
  run_first(core);
  CHECK(core->wake != UJ_WAKE_KILLED);
  for (;;) {
    play.ops++;
    if (is_stubborn(&m.job[play.running])) {
      op_yield();
      break;
    }
    if (one_in(8)) {
      state = ends[below(3)];
      say("ends: %d", (int)state);
      model_end(play.running, state);
      break;
    }
    if (op_inside())
      break;
    compare();
  }
  play.running = NOBODY;
  return state;
}

static inline void host_kill(struct uj_loop *l, struct uj_job *core)
{
  (void)l;
  run_first(core);
  CHECK_EQ(core->wake, UJ_WAKE_KILLED);
  op_any(); /* a <close> handler may do this */
  say("is killed");
  model_end(play.running, UJ_JOB_KILLED);
  play.running = NOBODY;
}

static inline void host_ended(struct uj_loop *l, struct uj_job *core)
{
  (void)l;
  if (m.nends == 0 && play.running == NOBODY)
    model_begin_kill();
  compare_end(core);
}

static inline void host_wake(struct uj_loop *l)
{
  CHECK(!(l->heeds & UJ_HEED_ASLEEP));
  wakes++;
}

/* --- the world outside --- */

static inline void turn(void)
{
  say("a turn");
  m.asleep = false;
  uj_loop_set_asleep(&loop, false);
  if (below(2) == 0) /* the loop knows the time, which must change nothing */
    loop.latest_ns = host_now(&loop);
  model_turn();
  uj_loop_turn(&loop);
  model_turned();
  CHECK_EQ(loop.busy_next, m.busy_next);
  compare();
}

/* What happens without any time passing. */
static inline void op_turns(void)
{
  int count = below(128);
  for (int i = 0; i < count && count_ready() > 0; i++)
    turn();
}

static inline void op_advance(void)
{
  uint64_t due_ns = uj_loop_due(&loop);
  int next = model_next();
  if (count_ready() > 0)
    CHECK_EQ(due_ns, 0);
  else /* no wake-up is too early, since these are too few for a crowd */
    CHECK_EQ(due_ns, next == NOBODY ? UJ_NEVER : m.job[next].limit_ns);
  if (one_in(2) && due_ns > m.now_ns)
    advance(due_ns - m.now_ns);
  else if (one_in(12))
    advance(random_scaled());
  else
    advance((uint64_t)below(4));
}

static inline void op_sleep(void)
{
  if (count_ready() > 0)
    return;
  say("sleeps");
  m.asleep = true;
  uj_loop_set_asleep(&loop, true);
}

static inline void play_init(void)
{
  static const struct uj_host host = {.now = host_now,
                                      .resume = host_resume,
                                      .kill = host_kill,
                                      .ended = host_ended,
                                      .wake = host_wake};
  play.running = NOBODY;
  play.ending = false;
  memset(&m, 0, sizeof m);
  wakes = 0;
  m.now_ns = random_scaled();
  uj_loop_init(&loop, &host);
  for (int q = 0; q < QUEUES; q++)
    uj_waitq_init(&queue[q]);
  init_things();
  for (int s = 0; s < SCHEDS; s++)
    init_sched(s);
}

/* Closes the loop, and checks that no job lives on after the time that it gets.
 */
static inline void play_term(void)
{
  say("the end");
  play.ending = true;
  for (int j = 0; j < JOBS; j++)
    m.job[j].stubborn = 0;
  model_loop_close(UJ_NEVER, false);
  uj_loop_close(&loop, UJ_NEVER);
  compare();
  for (int turns = 0; turns < 2000 && uj_loop_live(&loop); turns++) {
    uint64_t due_ns = uj_loop_due(&loop);
    uint64_t next_ns = m.now_ns + 4;
    if (due_ns != UJ_NEVER && due_ns > next_ns)
      next_ns = due_ns;
    m.now_ns = next_ns;
    turn();
  }
  CHECK(!uj_loop_live(&loop));
  CHECK(!uj_loop_ready(&loop));
  CHECK_EQ(uj_timers_check(&loop.timers), 0);
  CHECK_EQ(uj_loop_due(&loop), UJ_NEVER);
  compare();
  term_things();
  for (int s = 0; s < SCHEDS; s++)
    uj_sched_term(&sched[s]);
  CHECK(uj_link_empty(&loop.scheds));
  for (int j = 0; j < JOBS; j++)
    CHECK(!m.job[j].used);
  compare_bury();
}

/* A round of so many operations from outside, or until the source is used up.
 * Ends the process at the first difference. */
static inline void play_round(int count)
{
  play_init();
  for (int i = 0; i < count && !play_used_up(); i++) {
    play.ops++;
    if (one_in(3))
      turn();
    else if (one_in(3))
      op_advance();
    else if (one_in(24))
      op_turns();
    else if (one_in(24))
      op_sleep();
    else
      op_any();
  }
  play_term();
}

#endif
