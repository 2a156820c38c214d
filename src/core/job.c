#include "core/job.h"

#include <assert.h>

void uj_job_init(struct uj_job *job, struct uj_sched *sched)
{
  uj_link_init(&job->queue);
  uj_link_init(&job->member);
  uj_timer_init(&job->timer);
  uj_waitq_init(&job->waiters);
  job->sched = sched;
  job->target = NULL;
  job->deadline_ns = UJ_NEVER;
  job->kill_ns = UJ_NEVER;
  job->id = ++sched->loop->last_id;
  job->raised_ns = 0;
  job->nlocks = 0;
  job->preemptions = 0;
  job->state = UJ_JOB_NEW;
  job->place = UJ_AT_NONE;
  job->wake = UJ_WAKE_OK;
  job->timer_wake = UJ_WAKE_OK;
  job->op = UJ_OP_NONE;
  job->on_abandon = UJ_ABANDON_NOTHING;
  job->raised = UJ_WAKE_OK;
  job->refusals = 0;
  job->started = false;
  job->cancel = false;
  job->protect = false;
  job->shielded = false;
  job->unwarned = false;
  job->in_line = false;
  job->ranked = false;
  job->timed = false;
  job->unseen = false;
  job->room = 0;
  job->hears = 0;
  job->heard = 0;
}

#define TO(state) (1U << (state))

void uj_job_move(struct uj_job *job, enum uj_job_state state)
{
  static const unsigned legal[] = {
      [UJ_JOB_NEW] =
          TO(UJ_JOB_PENDING) | TO(UJ_JOB_ACTIVE) | TO(UJ_JOB_CANCELLED),
      [UJ_JOB_PENDING] = TO(UJ_JOB_ACTIVE) | TO(UJ_JOB_CANCELLED),
      [UJ_JOB_ACTIVE] = TO(UJ_JOB_CLOSING) | TO(UJ_JOB_DONE) |
                        TO(UJ_JOB_FAILED) | TO(UJ_JOB_CANCELLED) |
                        TO(UJ_JOB_KILLED),
      [UJ_JOB_CLOSING] = TO(UJ_JOB_DONE) | TO(UJ_JOB_FAILED) |
                         TO(UJ_JOB_CANCELLED) | TO(UJ_JOB_KILLED),
  };
  assert(!uj_job_ended(job));
  assert(legal[job->state] & TO(state));
  (void)legal;
  job->state = (uint8_t)state;
}

enum uj_wake uj_job_find_interruption(const struct uj_job *job)
{
  struct uj_loop *loop = job->sched->loop;
  if (job->kill_ns != UJ_NEVER && job->kill_ns <= uj_loop_now(loop))
    return job->unwarned && job->deadline_ns <= job->kill_ns ? UJ_WAKE_DEADLINE
                                                             : UJ_WAKE_KILLED;
  if (job->cancel && !job->protect)
    return UJ_WAKE_CANCELLED;
  if (job->deadline_ns != UJ_NEVER && job->deadline_ns <= uj_loop_now(loop))
    return UJ_WAKE_DEADLINE;
  return UJ_WAKE_OK;
}

/* The job's own deadline is being raised, maybe late: the process may have been
 * stopped, or another job may have held the loop. The delay does not count as
 * time to clean up, so the forced end is put off by as much. */
static void warn(struct uj_job *job)
{
  uint64_t close_ns = job->sched->close_ns;
  uint64_t now_ns = uj_loop_now(job->sched->loop);
  if (!job->unwarned || now_ns < job->kill_ns - close_ns)
    return;
  job->unwarned = false;
  job->kill_ns = uj_clock_add(now_ns, close_ns);
}

/* Ends whatever the job was doing. With an `on_abandon` its target is kept
 * until the job runs. */
static void finish_wait(struct uj_job *job, enum uj_wake wake)
{
  if (job->on_abandon == UJ_ABANDON_NOTHING)
    job->target = NULL;
  else
    job->sched->loop->nabandoning++;
  if (wake == UJ_WAKE_DEADLINE)
    warn(job);
  job->hears = 0;
  job->wake = (uint8_t)wake;
  uj_job_make_ready(job);
}

/* Arms the timer for a limit, or for the forced end if that comes before. At
 * the same time force comes last: it is for a job that lives on after the
 * limit. */
static void arm_at(struct uj_job *job, uint64_t due_ns, enum uj_wake wake)
{
  if (job->kill_ns < due_ns) {
    due_ns = job->kill_ns;
    wake = UJ_WAKE_KILLED;
  }
  job->timer_wake = (uint8_t)wake;
  if (due_ns != UJ_NEVER)
    uj_timers_add(&job->sched->loop->timers, &job->timer, due_ns);
}

/* Arms the timer for the earliest limit of an operation. If the deadline and
 * the operation's own limit are equal the deadline wins: it was there first. */
static void arm(struct uj_job *job, uint64_t due_ns)
{
  if (job->deadline_ns <= due_ns)
    arm_at(job, job->deadline_ns, UJ_WAKE_DEADLINE);
  else
    arm_at(job, due_ns, UJ_WAKE_TIMEOUT);
}

/* Each of the first refused operations takes a turn. After so many of them the
 * job evidently ignores the reason, and each further refusal takes twice as
 * long as the one before, up to a limit. So a job that swallows its
 * cancellation in a loop neither burns the processor nor stops the virtual
 * clock. */
#define FREE_REFUSALS 100
#define FIRST_PAUSE_NS UINT64_C(1000)
#define PAUSE_DOUBLINGS 14

/* Refuses an operation: the job runs again with the reason. */
static void refuse(struct uj_job *job, enum uj_wake wake)
{
  unsigned doublings;
  if (job->on_abandon == UJ_ABANDON_NOTHING)
    job->target = NULL;
  if (wake == UJ_WAKE_DEADLINE)
    warn(job); /* before a pause, which must not count either */
  if (job->refusals < FREE_REFUSALS || wake == UJ_WAKE_KILLED) {
    job->refusals++;
    finish_wait(job, wake);
    return;
  }
  doublings = job->refusals - FREE_REFUSALS;
  if (doublings < PAUSE_DOUBLINGS)
    job->refusals++;
  job->place = UJ_AT_WAIT;
  arm_at(
      job,
      uj_clock_add(uj_loop_now(job->sched->loop), FIRST_PAUSE_NS << doublings),
      wake);
}

void uj_job_leave_limits(struct uj_job *job, uint64_t deadline_ns, bool protect)
{
  uj_job_set_limits(job, deadline_ns, protect);
  if (job->refusals > 0 && !job->cancel &&
      uj_job_interrupted(job) == UJ_WAKE_OK)
    job->refusals = 0;
}

void uj_job_park(struct uj_job *job, struct uj_waitq *waitq, uint64_t due_ns,
                 unsigned op)
{
  enum uj_wake wake = uj_job_interrupted(job);
  assert(job->place == UJ_AT_NONE && job->started && !uj_job_ended(job));
  job->op = (uint8_t)op;
  if (wake != UJ_WAKE_OK) {
    refuse(job, wake);
    return;
  }
  job->refusals = 0;
  job->place = UJ_AT_WAIT;
  if (waitq != NULL)
    uj_link_append(&waitq->jobs, &job->queue);
  arm(job, due_ns);
}

void uj_job_yield(struct uj_job *job)
{
  enum uj_wake wake = uj_job_interrupted(job);
  assert(job->place == UJ_AT_NONE && job->started && !uj_job_ended(job));
  job->op = UJ_OP_YIELD;
  if (wake != UJ_WAKE_OK) {
    refuse(job, wake);
    return;
  }
  job->refusals = 0;
  finish_wait(job, UJ_WAKE_OK);
}

void uj_job_preempt(struct uj_job *job)
{
  struct uj_loop *loop = job->sched->loop;
  assert(job->place == UJ_AT_NONE && job->started && !uj_job_ended(job));
  job->op = UJ_OP_PREEMPTED;
  job->preemptions++;
  job->wake = UJ_WAKE_OK;
  job->place = UJ_AT_READY;
  uj_link_append(&loop->preempted, &job->queue);
  loop->preemptions++;
}

/* When a job that ignores a deadline is ended by force. The deadline of the
 * whole job has set `kill_ns`; that of a call allows the same time from when it
 * was raised. */
static uint64_t force_ns(const struct uj_job *job)
{
  return uj_clock_add(job->raised_ns, job->sched->close_ns);
}

/* Whether the reason was raised already. A deadline that had not passed then is
 * another one, which is still to be raised. */
static bool was_raised(const struct uj_job *job, enum uj_wake wake)
{
  return job->raised == wake &&
         (wake != UJ_WAKE_DEADLINE || job->deadline_ns <= job->raised_ns);
}

enum uj_wake uj_job_to_raise(const struct uj_job *job)
{
  enum uj_wake wake = uj_job_interrupted(job);
  if (wake == UJ_WAKE_OK || wake == UJ_WAKE_KILLED || !was_raised(job, wake))
    return wake;
  if (wake == UJ_WAKE_DEADLINE &&
      force_ns(job) <= uj_loop_now(job->sched->loop))
    return UJ_WAKE_KILLED;
  return UJ_WAKE_OK;
}

void uj_job_note_raised(struct uj_job *job, enum uj_wake wake)
{
  if (wake == UJ_WAKE_DEADLINE)
    warn(job);
  if (was_raised(job, wake))
    return;
  job->raised = wake;
  job->raised_ns = uj_loop_now(job->sched->loop);
}

uint64_t uj_job_raise_due(const struct uj_job *job)
{
  uint64_t due_ns = job->deadline_ns;
  if (job->cancel && !job->protect)
    due_ns = was_raised(job, UJ_WAKE_CANCELLED) ? UJ_NEVER : 0;
  else if (was_raised(job, UJ_WAKE_DEADLINE))
    due_ns = force_ns(job);
  return uj_clock_min(due_ns, job->kill_ns);
}

void uj_job_drop(struct uj_job *job)
{
  struct uj_loop *loop = job->sched->loop;
  assert(job->state == UJ_JOB_NEW);
  uj_link_remove(&job->queue);
  if (job->ranked) {
    uj_order_forget(job->sched->order, uj_job_rank(job),
                    uj_sched_line_now(job->sched));
    uj_sched_hush(job->sched);
  }
  job->place = UJ_AT_NONE;
  uj_job_move(job, UJ_JOB_CANCELLED);
  loop->host->ended(loop, job);
}

/* A spawner whose wait ends early drops the job that it could not spawn. */
static void abandon_spawn(struct uj_job *job)
{
  struct uj_job *target = job->target;
  if (job->op != UJ_OP_SPAWN)
    return;
  job->target = NULL;
  uj_job_drop(target);
}

/* A wait ends early of a job that has a target, or stands in a line. */
static void abandon(struct uj_job *job)
{
  if (!job->in_line) {
    abandon_spawn(job);
    return;
  }
  job->in_line = false;
  job->line->length--;
  job->line = NULL;
}

void uj_job_wake(struct uj_job *job, enum uj_wake wake)
{
  if (job->place != UJ_AT_WAIT)
    return;
  uj_link_remove(&job->queue);
  uj_timers_remove(&job->sched->loop->timers, &job->timer);
  if (wake != UJ_WAKE_OK && job->target != NULL)
    abandon(job);
  finish_wait(job, wake);
}

void uj_job_forget_abandon(struct uj_job *job)
{
  if (job->on_abandon == UJ_ABANDON_NOTHING)
    return;
  job->sched->loop->nabandoning--;
  job->on_abandon = UJ_ABANDON_NOTHING;
}

struct uj_job *uj_waitq_first(const struct uj_waitq *waitq)
{
  if (uj_waitq_empty(waitq))
    return NULL;
  return uj_container(waitq->jobs.next, struct uj_job, queue);
}

struct uj_job *uj_waitq_wake_one(struct uj_waitq *waitq)
{
  struct uj_job *job = uj_waitq_first(waitq);
  if (job != NULL)
    uj_job_wake(job, UJ_WAKE_OK);
  return job;
}

void uj_waitq_wake_all(struct uj_waitq *waitq)
{
  while (uj_waitq_wake_one(waitq) != NULL)
    continue;
}

void uj_line_park(struct uj_line *line, struct uj_job *job, uint64_t due_ns,
                  unsigned op)
{
  uj_job_park(job, &line->waiters, due_ns, op);
  if (job->place != UJ_AT_WAIT || uj_link_empty(&job->queue))
    return; /* it was refused */
  job->in_line = true;
  job->line = line;
  line->length++;
}

struct uj_job *uj_line_wake_one(struct uj_line *line)
{
  struct uj_job *job = uj_waitq_first(&line->waiters);
  if (job == NULL)
    return NULL;
  line->length--;
  job->in_line = false;
  uj_job_wake(job, UJ_WAKE_OK);
  return job;
}

void uj_waitq_close(struct uj_waitq *waitq)
{
  struct uj_job *job;
  while ((job = uj_waitq_first(waitq)) != NULL)
    uj_job_wake(job, UJ_WAKE_CLOSED);
}
