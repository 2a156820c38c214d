/* What the core does, once more, with arrays and searches instead of links and
 * counters: so simple that it can be read against the promises. test_random
 * compares the two. A job is an index; a list is an array of such. */
#ifndef SPEC_CORE_MODEL_H
#define SPEC_CORE_MODEL_H

#include "check.h"

#include "core/job.h"
#include "core/sched.h"

#define JOBS 40
#define SCHEDS 3
#define QUEUES 4
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
  bool unwarned; /* kill_ns is for its own deadline, not yet raised */
  uint64_t deadline_ns, kill_ns;
  enum uj_wake told; /* by an overrun */
  uint64_t told_ns;
  uint64_t limit_ns; /* of its wait; UJ_NEVER for none */
  uint64_t armed;    /* the order of setting limits */
  enum uj_wake limit;
  struct list *in; /* where it waits; or NULL */
  int child;       /* its spawn is blocked; or NOBODY */
  struct list waiters;
};

struct model_sched {
  uint64_t limit, pending_limit, close_ns;
  bool closed;
  struct list jobs, shields, pending, blocked, idle, alone;
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
  struct list queue[QUEUES];
  struct list ready, batch, preempted, busy;
  bool busy_next;             /* the batch has run */
  bool from_busy;             /* in this turn */
  bool cut_short;             /* this turn: a job was preempted */
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
                                    .child = NOBODY};
      return j;
    }
  return NOBODY;
}

static inline void tell_end(int j, enum uj_job_state state)
{
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
  list_push(&m.ready, j);
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
  list_push(&sched->jobs, j);
  return UJ_OK;
}

static inline int model_shield(int j)
{
  if (sched_of(j)->closed)
    return UJ_ECLOSED;
  m.job[j].shielded = true;
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

static inline void set_limit(int j, uint64_t limit_ns, enum uj_wake limit)
{
  m.job[j].limit_ns = limit_ns;
  m.job[j].limit = limit;
  m.job[j].armed = ++m.arms;
}

static inline void model_park(int j, struct list *in, uint64_t due_ns)
{
  struct model_job *job = &m.job[j];
  enum uj_wake wake = model_interrupted(j);
  job->child = NOBODY;
  job->yields = false;
  if (wake != UJ_WAKE_OK) {
    make_ready(j, wake);
    return;
  }
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

static inline void model_yield(int j)
{
  m.job[j].child = NOBODY;
  m.job[j].yields = true;
  make_ready(j, model_interrupted(j));
}

static inline void model_block(int spawner, int child)
{
  model_park(spawner, &m.job[child].waiters, UJ_NEVER);
  m.job[spawner].child = child;
  m.job[child].place = UJ_AT_BLOCKED;
  if (m.job[spawner].place == UJ_AT_WAIT)
    list_push(&sched_of(child)->blocked, child);
  else
    model_drop(child);
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

static inline void model_sched_close(int s, int self)
{
  struct model_sched *sched = &m.sched[s];
  uint64_t span_ns = model_grace(self, sched->close_ns);
  sched->closed = true;
  while (sched->blocked.count > 0) /* each has one that waits: its spawner */
    model_wake(m.job[sched->blocked.job[0]].waiters.job[0], UJ_WAKE_CLOSED);
  while (sched->pending.count > 0)
    model_cancel(sched->pending.job[0]);
  model_close_list(&sched->jobs, self, span_ns);
  model_close_list(&sched->shields, self, span_ns);
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
    model_wake(j, m.job[j].limit);
    any = true;
  }
  return any;
}

/* A new batch is made when the old one has run, and then it is the turn of one
 * of the jobs that were preempted before that. */
static inline void model_turn(void)
{
  (void)model_expire();
  m.cut_short = false;
  m.from_busy = m.busy_next && m.busy.count > 0;
  if (m.from_busy || m.batch.count > 0)
    return;
  while (m.preempted.count > 0)
    list_push(&m.busy, list_shift(&m.preempted));
  m.batch = m.ready;
  m.ready.count = 0;
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
  list_push(&m.preempted, j);
  m.cut_short = true;
}

/* Each reason once; a deadline that is ignored for the close timeout kills. */
static inline enum uj_wake model_overrun(int j)
{
  struct model_job *job = &m.job[j];
  enum uj_wake wake = model_interrupted(j);
  uint64_t force_ns = uj_clock_add(job->told_ns, sched_of(j)->close_ns);
  if (wake == UJ_WAKE_KILLED || wake == UJ_WAKE_OK)
    return wake;
  if (wake == job->told)
    return wake == UJ_WAKE_DEADLINE && force_ns <= m.now_ns ? UJ_WAKE_KILLED
                                                            : UJ_WAKE_OK;
  return wake;
}

static inline void model_tell(int j, enum uj_wake wake)
{
  struct model_job *job = &m.job[j];
  if (wake == UJ_WAKE_DEADLINE)
    model_warn(j);
  if (job->told != wake)
    job->told_ns = m.now_ns;
  job->told = wake;
}

static inline void model_limit(int j, uint64_t deadline_ns, bool protect)
{
  struct model_job *job = &m.job[j];
  if (job->deadline_ns != deadline_ns && job->told == UJ_WAKE_DEADLINE)
    job->told = UJ_WAKE_OK;
  job->deadline_ns = deadline_ns;
  job->protect = protect;
}

/* The first job runs. */
static inline void model_run(int j)
{
  struct model_job *job = &m.job[j];
  list_remove(m.from_busy ? &m.busy : &m.batch, j);
  job->place = UJ_AT_NONE;
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
