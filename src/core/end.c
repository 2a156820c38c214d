#include "core/end.h"

#include <assert.h>

#include "core/admit.h"
#include "core/loop.h"

/* What those that wait for the job are told. One that has been woken for
 * another reason does not wait any more. */
static unsigned heard_by_waiters(const struct uj_job *job)
{
  struct uj_link *link = job->waiters.jobs.next;
  unsigned heard = 0;
  for (; link != &job->waiters.jobs; link = link->next)
    heard |= uj_container(link, struct uj_job, queue)->hears;
  return heard;
}

void uj_job_end(struct uj_job *job, enum uj_job_state state)
{
  struct uj_sched *sched = job->sched;
  enum uj_job_state was = (enum uj_job_state)job->state;
  uj_job_move(job, state);
  uj_link_remove(&job->queue);
  uj_timers_remove(&job->sched->loop->timers, &job->timer);
  job->heard |= heard_by_waiters(job);
  uj_waitq_wake_all(&job->waiters);
  job->place = UJ_AT_NONE;
  uj_sched_remove(sched, job, was);
  sched->loop->host->ended(sched->loop, job);
}

/* Cancellation wins over a time limit of the same turn. It also reaches a job
 * that only yielded, because nothing was handed to it that would be lost. A
 * preempted job goes on first, and hears of it then. */
static void interrupt_ready(struct uj_job *job)
{
  if (job->wake == UJ_WAKE_TIMEOUT || job->wake == UJ_WAKE_DEADLINE ||
      (job->wake == UJ_WAKE_OK && job->op == UJ_OP_YIELD))
    job->wake = UJ_WAKE_CANCELLED;
}

void uj_job_cancel(struct uj_job *job)
{
  if (uj_job_ended(job) || job->cancel)
    return;
  assert(job->state != UJ_JOB_NEW);
  job->cancel = true;
  if (!job->started) {
    uj_job_end(job, UJ_JOB_CANCELLED);
    return;
  }
  uj_job_move(job, UJ_JOB_CLOSING);
  if (job->protect)
    return;
  if (job->place == UJ_AT_READY)
    interrupt_ready(job);
  else
    uj_job_wake(job, UJ_WAKE_CANCELLED);
}

/* Brings the forced end forward. */
static void kill_at(struct uj_job *job, uint64_t kill_ns)
{
  job->unwarned = false;
  if (kill_ns >= job->kill_ns)
    return;
  job->kill_ns = kill_ns;
  if (job->place != UJ_AT_WAIT)
    return;
  if (uj_timer_armed(&job->timer)) {
    if (job->timer.due_ns <= kill_ns)
      return; /* that comes first; the next operation heeds kill_ns */
    uj_timers_remove(&job->sched->loop->timers, &job->timer);
  }
  job->timer_wake = UJ_WAKE_KILLED;
  uj_timers_add(&job->sched->loop->timers, &job->timer, kill_ns);
}

/* A closer gives three quarters of the time that it has. The rest is for what
 * it does after the others have ended. */
uint64_t uj_job_grace(const struct uj_job *closer, uint64_t span_ns)
{
  uint64_t now_ns, left_ns;
  if (closer == NULL || closer->kill_ns == UJ_NEVER)
    return span_ns;
  now_ns = uj_loop_now(closer->sched->loop);
  left_ns = closer->kill_ns > now_ns ? closer->kill_ns - now_ns : 0;
  return uj_clock_min(span_ns, left_ns - left_ns / 4);
}

void uj_job_close(struct uj_job *job, uint64_t span_ns)
{
  if (uj_job_ended(job))
    return;
  if (job->started)
    kill_at(job, uj_clock_add(uj_loop_now(job->sched->loop), span_ns));
  uj_job_cancel(job);
}

static void drop_blocked(struct uj_sched *sched)
{
  while (!uj_link_empty(&sched->blocked)) {
    struct uj_job *job = uj_job_first(&sched->blocked);
    struct uj_job *spawner = uj_waitq_first(&job->waiters);
    assert(spawner != NULL);
    uj_job_wake(spawner, UJ_WAKE_CLOSED); /* this drops the job */
  }
}

/* Must come before any active job ends: otherwise a pending one would take its
 * slot. */
static void drop_pending(struct uj_sched *sched)
{
  while (!uj_link_empty(&sched->pending)) {
    struct uj_job *job = uj_job_first(&sched->pending);
    job->cancel = true;
    uj_job_end(job, UJ_JOB_CANCELLED);
  }
}

/* Closes the jobs of a list. One that has not started ends at once, and so
 * leaves the list. */
static void close_all(struct uj_link *list, const struct uj_job *closer,
                      uint64_t span_ns)
{
  struct uj_link *link = list->next;
  while (link != list) {
    struct uj_job *job = uj_container(link, struct uj_job, member);
    link = link->next;
    if (job != closer)
      uj_job_close(job, span_ns);
  }
}

void uj_sched_close_within(struct uj_sched *sched, struct uj_job *closer,
                           uint64_t span_ns)
{
  span_ns = uj_job_grace(closer, uj_clock_min(span_ns, sched->close_ns));
  sched->closed = true;
  uj_sched_dismiss(sched);
  drop_blocked(sched);
  drop_pending(sched);
  close_all(&sched->jobs, closer, span_ns);
  close_all(&sched->shields, closer, span_ns);
}

void uj_sched_close(struct uj_sched *sched, struct uj_job *closer)
{
  uj_sched_close_within(sched, closer, UJ_NEVER);
}

/* On whose behalf something is closed, in time for it: a waiter that is killed
 * does not wait, so what it leaves has its own close timeout. */
static struct uj_job *closer_for(struct uj_job *job)
{
  return job->wake == UJ_WAKE_KILLED ? NULL : job;
}

/* When it runs, the waiter is told that the other had to be killed, unless it
 * is interrupted itself: that is why it keeps what it hears. */
static void abandon_job(struct uj_job *job, struct uj_job *target)
{
  struct uj_loop *loop = job->sched->loop;
  uint64_t close_ns = loop->host->grace_ns != NULL
                          ? loop->host->grace_ns(loop, target)
                          : target->sched->close_ns;
  if ((target->heard & UJ_HEARS_KILLED) == 0) {
    target->heard |= UJ_HEARS_KILLED;
    job->hears = UJ_HEARS_KILLED;
  }
  uj_job_close(target, uj_job_grace(closer_for(job), close_ns));
}

static void abandon_sched(struct uj_job *job, struct uj_sched *target)
{
  const struct uj_host *host = job->sched->loop->host;
  if (job->wake == UJ_WAKE_TIMEOUT && host->late != NULL)
    host->late(job->sched->loop, job);
  uj_sched_close(target, closer_for(job));
}

void uj_job_abandon(struct uj_job *job)
{
  enum uj_on_abandon how = (enum uj_on_abandon)job->on_abandon;
  bool closes = (how == UJ_ABANDON_CLOSE && job->wake != UJ_WAKE_OK) ||
                (how == UJ_ABANDON_CLOSE_LATE && job->wake == UJ_WAKE_TIMEOUT);
  uj_job_forget_abandon(job);
  if (closes && job->op == UJ_OP_WAIT)
    abandon_job(job, job->target);
  else if (closes)
    abandon_sched(job, job->target_sched);
}
