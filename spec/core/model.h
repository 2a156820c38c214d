/* What the core does, once more, with arrays and searches instead of links and
 * counters: so simple that it can be read against the promises. compare.h
 * compares the two. Here is what happens to jobs and schedulers; model_turn.h
 * has turns and interruptions, model_things.h what jobs wait for besides each
 * other. */
#ifndef SPEC_CORE_MODEL_H
#define SPEC_CORE_MODEL_H

#include "model_base.h"

static inline int model_new(int sched)
{
  for (int j = 0; j < JOBS; j++)
    if (!m.job[j].used) {
      m.job[j] = (struct model_job){.used = true,
                                    .sched = sched,
                                    .deadline_ns = UJ_NEVER,
                                    .kill_ns = UJ_NEVER,
                                    .limit_ns = UJ_NEVER,
                                    .child = NOBODY,
                                    .abandoned_job = NOBODY,
                                    .abandoned_sched = NOBODY};
      return j;
    }
  return NOBODY;
}

/* A job that has ended can no longer be closed by somebody's `on_abandon`. */
static inline void tell_end(int j, enum uj_job_state state)
{
  for (int k = 0; k < JOBS; k++)
    if (m.job[k].abandoned_job == j)
      m.job[k].abandoned_job = NOBODY;
  m.job[j].used = false;
  m.end[m.nends++] = (struct model_end){j, state};
}

/* The job's own deadline is raised, maybe late: it still gets all of the close
 * timeout. */
static inline void model_warn(int j)
{
  struct model_job *job = &m.job[j];
  uint64_t close_ns = sched_of(j)->close_ns;
  if (job->unwarned && job->kill_ns <= m.now_ns + close_ns) {
    job->unwarned = false;
    job->kill_ns = uj_clock_add(m.now_ns, close_ns);
  }
}

static inline void make_ready(int j, enum uj_wake wake)
{
  if (wake == UJ_WAKE_DEADLINE)
    model_warn(j);
  m.job[j].place = UJ_AT_READY;
  m.job[j].wake = wake;
  m.job[j].paused = false;
  list_push(&m.ready, j);
  m.wakes += m.asleep;
  m.asleep = false;
}

static inline void activate(int j)
{
  m.job[j].state = UJ_JOB_ACTIVE;
  make_ready(j, UJ_WAKE_OK);
}

/* Adds up for how long how many jobs were pending and active. */
static inline void model_note_time(struct model_sched *sched)
{
  double span_ns = (double)(m.now_ns - sched->since_ns);
  sched->waiting_ns += span_ns * sched->pending.count;
  sched->running_ns += span_ns * (double)count_active(sched);
  sched->since_ns = m.now_ns;
}

static inline int model_spawn(int j)
{
  struct model_sched *sched = sched_of(j);
  if (sched->closed)
    return UJ_ECLOSED;
  model_note_time(sched);
  if (has_slot(sched)) {
    activate(j);
  } else if ((uint64_t)sched->pending.count < sched->pending_limit) {
    m.job[j].state = UJ_JOB_PENDING;
    m.job[j].place = UJ_AT_PENDING;
    list_push(&sched->pending, j);
  } else {
    return UJ_EFULL;
  }
  m.spawned++;
  list_push(&sched->jobs, j);
  return UJ_OK;
}

static inline int model_shield(int j)
{
  if (sched_of(j)->closed)
    return UJ_ECLOSED;
  m.job[j].shielded = true;
  m.spawned++;
  activate(j);
  list_push(&sched_of(j)->shields, j);
  return UJ_OK;
}

/* Ends a job that was never admitted. */
static inline void model_drop(int j)
{
  list_remove(&sched_of(j)->blocked, j);
  tell_end(j, UJ_JOB_CANCELLED);
}

static inline void model_wake(int j, enum uj_wake wake)
{
  struct model_job *job = &m.job[j];
  if (job->place != UJ_AT_WAIT)
    return;
  if (job->in != NULL)
    list_remove(job->in, j);
  job->limit_ns = UJ_NEVER;
  make_ready(j, wake);
  if (wake != UJ_WAKE_OK && job->child != NOBODY)
    model_drop(job->child);
}

static inline void model_wake_all(struct list *list)
{
  while (list->count > 0)
    model_wake(list->job[0], UJ_WAKE_OK);
}

static inline enum uj_wake model_interrupted(int j)
{
  const struct model_job *job = &m.job[j];
  if (job->kill_ns <= m.now_ns)
    return job->unwarned && job->deadline_ns <= job->kill_ns ? UJ_WAKE_DEADLINE
                                                             : UJ_WAKE_KILLED;
  if (job->cancel && !job->protect)
    return UJ_WAKE_CANCELLED;
  return job->deadline_ns <= m.now_ns ? UJ_WAKE_DEADLINE : UJ_WAKE_OK;
}

static inline void set_limit(int j, uint64_t limit_ns, enum uj_wake wake)
{
  m.job[j].limit_ns = limit_ns;
  m.job[j].timer_wake = wake;
  m.job[j].armed = ++m.arms;
}

#define MODEL_REFUSALS 100
#define MODEL_LAST_PAUSE 14

/* After so many refusals in a row each further one takes twice as long as the
 * one before, from a microsecond to 16 milliseconds. The forced end can
 * interrupt the pause; but the pause is not taken from the time that a job has
 * after its own deadline. */
static inline void model_refuse(int j, enum uj_wake wake)
{
  struct model_job *job = &m.job[j];
  int pauses = job->refusals - MODEL_REFUSALS;
  if (wake == UJ_WAKE_DEADLINE)
    model_warn(j);
  if (pauses < MODEL_LAST_PAUSE)
    job->refusals++;
  if (pauses < 0 || wake == UJ_WAKE_KILLED) {
    make_ready(j, wake);
    return;
  }
  job->place = UJ_AT_WAIT;
  job->paused = true;
  set_limit(j, uj_clock_add(m.now_ns, UINT64_C(1000) << pauses), wake);
  if (job->kill_ns < job->limit_ns)
    set_limit(j, job->kill_ns, UJ_WAKE_KILLED);
}

/* Whether the operation is refused. */
static inline bool model_refused(int j)
{
  struct model_job *job = &m.job[j];
  enum uj_wake wake = model_interrupted(j);
  job->child = NOBODY;
  job->yields = false;
  job->owns = false;
  job->in = NULL;
  if (wake != UJ_WAKE_OK)
    model_refuse(j, wake);
  else
    job->refusals = 0;
  return wake != UJ_WAKE_OK;
}

static inline void model_park(int j, struct list *in, uint64_t due_ns)
{
  struct model_job *job = &m.job[j];
  if (model_refused(j))
    return;
  job->place = UJ_AT_WAIT;
  job->in = in;
  if (in != NULL)
    list_push(in, j);
  set_limit(j, due_ns, UJ_WAKE_TIMEOUT);
  if (job->deadline_ns <= job->limit_ns)
    set_limit(j, job->deadline_ns, UJ_WAKE_DEADLINE);
  if (job->kill_ns < job->limit_ns) /* the forced end comes last */
    set_limit(j, job->kill_ns, UJ_WAKE_KILLED);
}

/* Parks a job for something that UJ_WAKE_OK hands it. */
static inline void model_park_to_own(int j, struct list *in, uint64_t due_ns)
{
  model_park(j, in, due_ns);
  m.job[j].owns = m.job[j].in != NULL;
}

static inline void model_yield(int j)
{
  bool refused = model_refused(j);
  m.job[j].yields = true;
  if (!refused)
    make_ready(j, UJ_WAKE_OK);
}

static inline void model_block(int spawner, int child)
{
  model_park(spawner, &m.job[child].waiters, UJ_NEVER);
  m.job[spawner].child = child;
  m.job[child].place = UJ_AT_BLOCKED;
  if (m.job[spawner].in != NULL) {
    list_push(&sched_of(child)->blocked, child);
  } else {
    m.job[spawner].child = NOBODY;
    model_drop(child);
  }
}

/* Admits the next in line while there is room. */
static inline void admit(struct model_sched *sched)
{
  while (sched->pending.count > 0 && has_slot(sched))
    activate(list_shift(&sched->pending));
  while (sched->blocked.count > 0) {
    int j = sched->blocked.job[0];
    if (model_spawn(j) != UJ_OK)
      break;
    list_remove(&sched->blocked, j);
    model_wake_all(&m.job[j].waiters);
  }
}

static inline void model_set_limits(struct model_sched *sched, uint64_t limit,
                                    uint64_t pending_limit)
{
  sched->limit = limit;
  sched->pending_limit = pending_limit;
  model_note_time(sched);
  admit(sched);
}

/* A job that is about to start waits until the scheduler is resumed. */
static inline void model_pause(struct model_sched *sched)
{
  sched->paused = true;
  for (int i = 0; i < sched->jobs.count; i++) {
    int j = sched->jobs.job[i];
    if (m.job[j].place != UJ_AT_READY || m.job[j].started)
      continue;
    list_remove(&m.ready, j);
    list_remove(&m.batch, j);
    list_push(&sched->held, j);
    m.job[j].place = UJ_AT_HELD;
  }
}

static inline void model_resume(struct model_sched *sched)
{
  sched->paused = false;
  while (sched->held.count > 0)
    make_ready(list_shift(&sched->held), UJ_WAKE_OK);
  model_note_time(sched);
  admit(sched);
}

/* Wakes the jobs that wait until no job is left, or none but themselves. */
static inline void wake_left(struct model_sched *sched)
{
  if (count_live(sched) == 0)
    model_wake_all(&sched->idle);
  if ((uint64_t)sched->alone.count == count_live(sched))
    model_wake_all(&sched->alone);
}

static inline void model_wait_alone(int j)
{
  struct model_sched *sched = sched_of(j);
  model_park(j, &sched->alone, UJ_NEVER);
  wake_left(sched);
}

/* Hands the mutex over to the first waiter. */
static inline void model_unlock(int i)
{
  struct model_mutex *mutex = &m.mutex[i];
  list_remove(&m.locked, i);
  mutex->owner = NOBODY;
  if (mutex->waiters.count == 0)
    return;
  mutex->owner = mutex->waiters.job[0];
  mutex->turn++;
  model_wake(mutex->owner, UJ_WAKE_OK);
  list_push(&m.locked, i);
}

/* The mutexes of a job that has ended go to their next waiters. */
static inline void model_release_locks(int j)
{
  const struct list locked = m.locked;
  for (int i = 0; i < locked.count; i++)
    if (m.mutex[locked.job[i]].owner == j)
      model_unlock(locked.job[i]);
}

static inline void model_end(int j, enum uj_job_state state)
{
  struct model_sched *sched = sched_of(j);
  model_wake_all(&m.job[j].waiters);
  model_note_time(sched);
  sched->ended[state - UJ_JOB_DONE] += !m.job[j].shielded;
  list_remove(&sched->held, j);
  list_remove(&sched->jobs, j);
  list_remove(&sched->shields, j);
  list_remove(&sched->pending, j);
  list_remove(&m.ready, j);
  list_remove(&m.batch, j);
  admit(sched);
  wake_left(sched);
  tell_end(j, state);
  model_release_locks(j);
}

/* Whether a ready job was handed nothing that it could lose. */
static inline bool took_nothing(const struct model_job *job)
{
  if (job->wake == UJ_WAKE_OK)
    return job->yields;
  return job->wake == UJ_WAKE_TIMEOUT || job->wake == UJ_WAKE_DEADLINE;
}

static inline void model_cancel(int j)
{
  struct model_job *job = &m.job[j];
  if (job->cancel)
    return;
  job->cancel = true;
  if (!job->started) {
    model_end(j, UJ_JOB_CANCELLED);
    return;
  }
  job->state = UJ_JOB_CLOSING;
  if (job->protect)
    return;
  model_wake(j, UJ_WAKE_CANCELLED);
  if (job->place == UJ_AT_READY && took_nothing(job))
    job->wake = UJ_WAKE_CANCELLED;
}

static inline void model_close(int j, uint64_t span_ns)
{
  struct model_job *job = &m.job[j];
  uint64_t kill_ns = uj_clock_add(m.now_ns, span_ns);
  if (job->started)
    job->unwarned = false;
  if (job->started && kill_ns < job->kill_ns) {
    job->kill_ns = kill_ns;
    if (job->place == UJ_AT_WAIT && kill_ns < job->limit_ns)
      set_limit(j, kill_ns, UJ_WAKE_KILLED);
  }
  model_cancel(j);
}

static inline void model_close_list(const struct list *list, int self,
                                    uint64_t span_ns)
{
  const struct list jobs = *list;
  for (int i = 0; i < jobs.count; i++)
    if (jobs.job[i] != self)
      model_close(jobs.job[i], span_ns);
}

/* A closer that will be killed gives at most three quarters of the time left.
 */
static inline uint64_t model_grace(int closer, uint64_t span_ns)
{
  uint64_t kill_ns = closer == NOBODY ? UJ_NEVER : m.job[closer].kill_ns;
  uint64_t left_ns = kill_ns > m.now_ns ? kill_ns - m.now_ns : 0;
  if (kill_ns == UJ_NEVER || left_ns - left_ns / 4 > span_ns)
    return span_ns;
  return left_ns - left_ns / 4;
}

static inline void model_sched_close_within(int s, int self, uint64_t most_ns)
{
  struct model_sched *sched = &m.sched[s];
  uint64_t span_ns = model_grace(self, uj_clock_min(sched->close_ns, most_ns));
  sched->closed = true;
  while (sched->blocked.count > 0) /* each has one waiter, its spawner */
    model_wake(m.job[sched->blocked.job[0]].waiters.job[0], UJ_WAKE_CLOSED);
  while (sched->pending.count > 0)
    model_cancel(sched->pending.job[0]);
  model_close_list(&sched->jobs, self, span_ns);
  model_close_list(&sched->shields, self, span_ns);
}

static inline void model_sched_close(int s, int self)
{
  model_sched_close_within(s, self, UJ_NEVER);
}

static inline void model_loop_close(uint64_t span_ns, bool open_only)
{
  for (int i = 0; i < m.order.count; i++)
    if (!open_only || !m.sched[m.order.job[i]].closed)
      model_sched_close_within(m.order.job[i], NOBODY, span_ns);
}

/* Closes what a job is to close that has stopped waiting too early. */
static inline void model_abandon(int j)
{
  struct model_job *job = &m.job[j];
  int target = job->abandoned_job, s = job->abandoned_sched;
  bool closes = job->on_abandon == UJ_ABANDON_CLOSE
                    ? job->wake != UJ_WAKE_OK
                    : job->wake == UJ_WAKE_TIMEOUT;
  int closer = job->wake == UJ_WAKE_KILLED ? NOBODY : j;
  job->on_abandon = UJ_ABANDON_NOTHING;
  job->abandoned_job = job->abandoned_sched = NOBODY;
  if (closes && target != NOBODY)
    model_close(target, model_grace(closer, sched_of(target)->close_ns));
  else if (closes && s != NOBODY)
    model_sched_close(s, closer);
}

static inline uint64_t count_abandoning(const struct list *list)
{
  uint64_t count = 0;
  for (int i = 0; i < list->count; i++)
    count += m.job[list->job[i]].on_abandon != UJ_ABANDON_NOTHING;
  return count;
}

/* Closes them in the order of the list, with those that become ready meanwhile.
 */
static inline void model_abandon_all(struct list *list)
{
  while (count_abandoning(list) > 0) {
    int i = 0;
    while (m.job[list->job[i]].on_abandon == UJ_ABANDON_NOTHING)
      i++;
    model_abandon(list->job[i]);
  }
}

#endif
