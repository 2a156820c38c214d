/* Turns of the model, and what is raised in a job that runs on and on. */
#ifndef SPEC_CORE_MODEL_TURN_H
#define SPEC_CORE_MODEL_TURN_H

#include "model.h"

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

/* The same while a job runs, with what abandoned waits close. */
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

/* Every job of the batch has run, up to the first that was preempted. */
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

/* The first job of this turn's list is killed next. What its wait has left is
 * closed before, on its behalf. */
static inline void model_begin_kill(void)
{
  int j = model_first();
  if (j != NOBODY && m.job[j].wake == UJ_WAKE_KILLED)
    model_abandon(j);
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

/* A deadline that had not passed when one was raised is another deadline. */
static inline bool model_was_raised(const struct model_job *job,
                                    enum uj_wake wake)
{
  return job->raised == wake &&
         (wake != UJ_WAKE_DEADLINE || job->deadline_ns <= job->raised_ns);
}

/* Each reason is raised once; a deadline that is ignored for the close timeout
 * kills. */
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

static inline void model_set_job_limits(int j, uint64_t deadline_ns,
                                        bool protect)
{
  struct model_job *job = &m.job[j];
  job->deadline_ns = deadline_ns;
  job->protect = protect;
}

static inline void model_leave_limits(int j, uint64_t deadline_ns, bool protect)
{
  model_set_job_limits(j, deadline_ns, protect);
  if (!m.job[j].cancel && model_interrupted(j) == UJ_WAKE_OK)
    m.job[j].refusals = 0;
}

/* The first job of this turn's list begins to run. */
static inline void model_run(int j)
{
  struct model_job *job = &m.job[j];
  model_begin_kill();
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
