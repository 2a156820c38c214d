/* What the core does, once more, with arrays and searches instead of links and
 * counters: so simple that it can be read against the promises. compare.h
 * compares the two. A job is an index; a list is an array of such. What jobs
 * wait for besides each other is in model_things.h. */
#ifndef SPEC_CORE_MODEL_H
#define SPEC_CORE_MODEL_H

#include "check.h"

#include "core/job.h"
#include "core/sched.h"

#define JOBS 40
#define SCHEDS 3
#define QUEUES 4
#define THINGS 2 /* of each kind */
#define VALUES 4 /* the largest capacity of a queue of values */
#define NOBODY (-1)

struct list {
  int count;
  int job[JOBS];
};

struct model_job {
  bool used;
  int sched;
  enum uj_job_state state;
  enum uj_place place;
  enum uj_wake wake;
  bool started, cancel, protect, shielded;
  bool yields;   /* it is ready because it gave way */
  bool owns;     /* UJ_WAKE_OK hands it what it waits for */
  bool paused;   /* its operation was refused once too often */
  int refusals;  /* in a row */
  int stubborn;  /* so many refusals does it ignore */
  bool unwarned; /* kill_ns is for its own deadline, not yet raised */
  uint64_t deadline_ns, kill_ns;
  enum uj_wake raised; /* while it ran on */
  uint64_t raised_ns;
  uint64_t limit_ns; /* of its wait; UJ_NEVER for none */
  uint64_t armed;    /* the order of setting limits */
  enum uj_wake timer_wake;
  struct list *in; /* where it waits; or NULL */
  int child;       /* its spawn is blocked; or NOBODY */
  struct list waiters;
  enum uj_on_abandon on_abandon;
  int abandoned_job, abandoned_sched; /* what it closes then, or NOBODY */
  uint64_t value;                     /* that it puts, or got */
  uint64_t preemptions;
};

struct model_sched {
  uint64_t limit, pending_limit, close_ns;
  bool closed;
  struct list jobs, shields, pending, blocked, idle, alone;
};

struct model_semaphore {
  uint64_t count, total;
  struct list waiters;
};

struct model_mutex {
  int owner; /* or NOBODY */
  uint64_t turn;
  struct list waiters;
};

struct model_event {
  bool is_set;
  struct list waiters;
};

struct model_queue {
  uint64_t capacity;
  bool closed;
  int count;
  uint64_t value[VALUES];
  struct list getters, putters;
};

struct model_end {
  int job;
  enum uj_job_state state;
};

static struct {
  uint64_t now_ns;
  uint64_t arms;
  struct model_job job[JOBS];
  struct model_sched sched[SCHEDS];
  struct list order; /* of the schedulers */
  struct list queue[QUEUES];
  struct model_semaphore semaphore[THINGS];
  struct model_mutex mutex[THINGS];
  struct model_event event[THINGS];
  struct model_queue values[THINGS];
  struct list locked; /* mutexes, in the order of locking */
  uint64_t last_value;
  struct list ready, batch, preempted, busy;
  bool busy_next; /* the batch has run */
  bool from_busy; /* in this turn */
  bool cut_short; /* this turn: a job was preempted */
  bool asleep;    /* who takes the turns wants to be woken */
  uint64_t wakes; /* how often that was done */
  uint64_t spawned, preemptions, turns;
  struct model_end end[JOBS]; /* that the core has not told yet */
  int nends;
} m;

static inline void list_push(struct list *list, int j)
{
  list->job[list->count++] = j;
}

static inline void list_remove(struct list *list, int j)
{
  int kept = 0;
  for (int i = 0; i < list->count; i++)
    if (list->job[i] != j)
      list->job[kept++] = list->job[i];
  list->count = kept;
}

static inline int list_shift(struct list *list)
{
  int j = list->job[0];
  list_remove(list, j);
  return j;
}

static inline struct model_sched *sched_of(int j)
{
  return &m.sched[m.job[j].sched];
}

static inline uint64_t count_active(const struct model_sched *sched)
{
  return (uint64_t)(sched->jobs.count - sched->pending.count);
}

static inline uint64_t count_live(const struct model_sched *sched)
{
  return (uint64_t)(sched->jobs.count + sched->shields.count);
}

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

/* A job that has ended is not closed any more. */
static inline void tell_end(int j, enum uj_job_state state)
{
  for (int k = 0; k < JOBS; k++)
    if (m.job[k].abandoned_job == j)
      m.job[k].abandoned_job = NOBODY;
  m.job[j].used = false;
  m.end[m.nends++] = (struct model_end){j, state};
}

/* Its own deadline is raised, maybe late: it has all of the close timeout. */
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

static inline int model_spawn(int j)
{
  struct model_sched *sched = sched_of(j);
  if (sched->closed)
    return UJ_ECLOSED;
  if (count_active(sched) < sched->limit) {
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

/* A job that was never admitted. */
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

/* After so many refusals in a row each takes twice as long as the one before,
 * from a microsecond to 16 milliseconds. Being killed comes in between; but the
 * pause does not count for a job that is to hear of its own deadline. */
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

/* Whether the operation does not begin. */
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

/* For something that UJ_WAKE_OK hands it. */
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

/* Lets the next ones in, each as soon as there is room. */
static inline void admit(struct model_sched *sched)
{
  while (sched->pending.count > 0 && count_active(sched) < sched->limit)
    activate(list_shift(&sched->pending));
  while (sched->blocked.count > 0) {
    int j = sched->blocked.job[0];
    if (model_spawn(j) != UJ_OK)
      break;
    list_remove(&sched->blocked, j);
    model_wake_all(&m.job[j].waiters);
  }
}

/* Nobody is left, or nobody but those who wait for just that. */
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

/* Hands it to the first that waits. */
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

/* What a job that ended has locked passes on. */
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

/* Whether a ready job took nothing that it would lose. */
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

/* A closer that is to be killed gives three quarters of its time, at most. */
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
  while (sched->blocked.count > 0) /* each has one that waits: its spawner */
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

/* What a job that left its wait too early closes, before it runs. */
static inline void model_abandon(int j)
{
  struct model_job *job = &m.job[j];
  int target = job->abandoned_job, s = job->abandoned_sched;
  bool closes = job->on_abandon == UJ_ABANDON_CLOSE
                    ? job->wake != UJ_WAKE_OK
                    : job->wake == UJ_WAKE_TIMEOUT;
  job->on_abandon = UJ_ABANDON_NOTHING;
  job->abandoned_job = job->abandoned_sched = NOBODY;
  if (closes && target != NOBODY)
    model_close(target, model_grace(j, sched_of(target)->close_ns));
  else if (closes && s != NOBODY)
    model_sched_close(s, j);
}

static inline uint64_t count_abandoning(const struct list *list)
{
  uint64_t count = 0;
  for (int i = 0; i < list->count; i++)
    count += m.job[list->job[i]].on_abandon != UJ_ABANDON_NOTHING;
  return count;
}

/* In order, also those that become ready by it. */
static inline void model_abandon_all(struct list *list)
{
  while (count_abandoning(list) > 0) {
    int i = 0;
    while (m.job[list->job[i]].on_abandon == UJ_ABANDON_NOTHING)
      i++;
    model_abandon(list->job[i]);
  }
}

/* The waiting job whose limit comes first, or NOBODY. */
static inline int model_next(void)
{
  int next = NOBODY;
  for (int j = 0; j < JOBS; j++) {
    const struct model_job *job = &m.job[j];
    const struct model_job *best = next == NOBODY ? NULL : &m.job[next];
    if (!job->used || job->place != UJ_AT_WAIT || job->limit_ns == UJ_NEVER)
      continue;
    if (best == NULL || job->limit_ns < best->limit_ns ||
        (job->limit_ns == best->limit_ns && job->armed < best->armed))
      next = j;
  }
  return next;
}

static inline bool model_expire(void)
{
  int j;
  bool any = false;
  while ((j = model_next()) != NOBODY && m.job[j].limit_ns <= m.now_ns) {
    model_wake(j, m.job[j].timer_wake);
    any = true;
  }
  return any;
}

/* The same while a job runs. */
static inline bool model_loop_expire(void)
{
  bool any = model_expire();
  model_abandon_all(&m.batch);
  model_abandon_all(&m.ready);
  return any;
}

/* A new batch is made when the old one has run and one of the jobs that were
 * preempted before that has had its turn. With an empty batch it is the turn of
 * the next of them at once. */
static inline void model_turn(void)
{
  (void)model_expire();
  m.turns++;
  m.cut_short = false;
  m.from_busy = m.busy_next && m.busy.count > 0;
  if (m.from_busy || m.batch.count > 0)
    return;
  while (m.preempted.count > 0)
    list_push(&m.busy, list_shift(&m.preempted));
  m.batch = m.ready;
  m.ready.count = 0;
  m.from_busy = m.batch.count == 0;
}

/* All have run, up to the first that was preempted. */
static inline void model_turned(void)
{
  CHECK(m.from_busy || m.cut_short || m.batch.count == 0);
  m.busy_next = !m.from_busy && m.batch.count == 0;
}

static inline int model_first(void)
{
  const struct list *list = m.from_busy ? &m.busy : &m.batch;
  return list->count == 0 ? NOBODY : list->job[0];
}

static inline void model_preempt(int j)
{
  struct model_job *job = &m.job[j];
  job->child = NOBODY;
  job->yields = false;
  job->place = UJ_AT_READY;
  job->wake = UJ_WAKE_OK;
  job->owns = false;
  job->preemptions++;
  m.preemptions++;
  list_push(&m.preempted, j);
  m.cut_short = true;
}

/* A deadline that had not passed when the job was told is another one. */
static inline bool model_was_raised(const struct model_job *job,
                                    enum uj_wake wake)
{
  return job->raised == wake &&
         (wake != UJ_WAKE_DEADLINE || job->deadline_ns <= job->raised_ns);
}

/* Each reason once; a deadline that is ignored for the close timeout kills. */
static inline enum uj_wake model_to_raise(int j)
{
  struct model_job *job = &m.job[j];
  enum uj_wake wake = model_interrupted(j);
  uint64_t force_ns = uj_clock_add(job->raised_ns, sched_of(j)->close_ns);
  if (wake == UJ_WAKE_KILLED || wake == UJ_WAKE_OK)
    return wake;
  if (model_was_raised(job, wake))
    return wake == UJ_WAKE_DEADLINE && force_ns <= m.now_ns ? UJ_WAKE_KILLED
                                                            : UJ_WAKE_OK;
  return wake;
}

static inline void model_note_raised(int j, enum uj_wake wake)
{
  struct model_job *job = &m.job[j];
  if (wake == UJ_WAKE_DEADLINE)
    model_warn(j);
  if (!model_was_raised(job, wake))
    job->raised_ns = m.now_ns;
  job->raised = wake;
}

static inline void model_set_limits(int j, uint64_t deadline_ns, bool protect)
{
  struct model_job *job = &m.job[j];
  job->deadline_ns = deadline_ns;
  job->protect = protect;
}

/* The first job runs. */
static inline void model_run(int j)
{
  struct model_job *job = &m.job[j];
  list_remove(m.from_busy ? &m.busy : &m.batch, j);
  job->place = UJ_AT_NONE;
  job->on_abandon = UJ_ABANDON_NOTHING;
  job->abandoned_job = job->abandoned_sched = NOBODY;
  if (job->started)
    return;
  job->started = true;
  if (job->deadline_ns == UJ_NEVER)
    return;
  job->deadline_ns = uj_clock_add(m.now_ns, job->deadline_ns);
  job->kill_ns = uj_clock_add(job->deadline_ns, sched_of(j)->close_ns);
  job->unwarned = job->kill_ns != UJ_NEVER;
}

#endif
