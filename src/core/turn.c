#include "core/turn.h"

#include <assert.h>

#include "core/admit.h"
#include "core/end.h"
#include "core/job.h"
#include "core/ranks.h"
#include "core/sched.h"
#include "core/seldom.h"
#include "core/shuffle.h"

/* How long after it the alarm is set again that has gone off while a job held
 * the loop: it must wait for a turn. */
#define ALARM_AGAIN_NS UINT64_C(1000000)

/* Not those that are due after `latest_ns`. Returns whether any job was woken;
 * `rang` becomes true if the alarm has gone off. What it calls is to be a part
 * of it where the compiler sees that: this runs for each time that passes. */
__attribute__((flatten)) static bool
expire_timers(struct uj_loop *loop, uint64_t latest_ns, bool *rang)
{
  struct uj_timer *timer;
  uint64_t now_ns;
  bool any = false;
  if (loop->timers.min_ns == UJ_NEVER)
    return false;
  now_ns = uj_clock_min(uj_loop_now(loop), latest_ns);
  while ((timer = uj_timers_pop(&loop->timers, now_ns)) != NULL) {
    struct uj_job *job = uj_container(timer, struct uj_job, timer);
    if (timer == &loop->alarm) {
      *rang = true;
      continue;
    }
    if (timer == &loop->bell) {
      uj_ranks_ring(loop);
      any = true;
      continue;
    }
    uj_job_wake(job, (enum uj_wake)job->timer_wake);
    any = true;
  }
  return any;
}

/* A job's own deadline counts from its start. */
static void start(struct uj_loop *loop, struct uj_job *job)
{
  job->started = true;
  if (job->ranked)
    uj_ranks_note_start(job);
  if (job->deadline_ns == UJ_NEVER)
    return;
  job->deadline_ns = uj_clock_add(uj_loop_now(loop), job->deadline_ns);
  job->kill_ns = uj_clock_add(job->deadline_ns, job->sched->close_ns);
  job->unwarned = job->kill_ns != UJ_NEVER;
}

static void run_job(struct uj_loop *loop, struct uj_job *job)
{
  enum uj_job_state state;
  if (job->wake == UJ_WAKE_KILLED) {
    loop->host->kill(loop, job);
    uj_job_end(job, UJ_JOB_KILLED);
    return;
  }
  if (!job->started)
    start(loop, job);
  state = loop->host->resume(loop, job);
  if (state != UJ_JOB_ACTIVE)
    uj_job_end(job, state);
  else
    assert(job->place != UJ_AT_NONE);
}

/* Does what the ready jobs of a queue would do about their abandoned waits. To
 * close something can take jobs out of the queue that have not started, but
 * never the one on whose behalf it is closed. */
static void abandon_waits(const struct uj_loop *loop,
                          const struct uj_link *queue)
{
  struct uj_link *link = queue->next;
  for (; link != queue && loop->nabandoning > 0; link = link->next)
    uj_job_abandon(uj_container(link, struct uj_job, queue));
}

bool uj_loop_expire(struct uj_loop *loop)
{
  bool rang = false, any = expire_timers(loop, UJ_NEVER, &rang);
  if (rang)
    uj_timers_add(&loop->timers, &loop->alarm,
                  uj_clock_add(uj_loop_now(loop), ALARM_AGAIN_NS));
  abandon_waits(loop, &loop->batch);
  abandon_waits(loop, &loop->ready);
  return any;
}

static void run_first(struct uj_loop *loop, struct uj_link *queue)
{
  struct uj_job *job = uj_job_first(queue);
  uj_link_remove(&job->queue);
  job->place = UJ_AT_NONE;
  if (job->wake == UJ_WAKE_KILLED)
    uj_job_abandon(job); /* it will not do that by itself */
  else
    uj_job_forget_abandon(job);
  run_job(loop, job);
}

void uj_loop_uncover(struct uj_loop *loop)
{
  struct uj_job *job = loop->covered;
  uj_link_remove(&job->queue);
  job->place = UJ_AT_NONE;
  loop->covered = NULL;
}

/* The batch that the job belongs to may be replaced by another one while others
 * run on top of it. Its turn must not run that, and so it ends with the job:
 * that is what counting a preemption does. */
void uj_loop_cover(struct uj_loop *loop, struct uj_job *job)
{
  if (loop->covered != NULL)
    uj_loop_uncover(loop);
  loop->covered = job;
  loop->covers++;
  loop->busy_next = false;
  uj_job_preempt(job);
}

void uj_loop_cover_again(struct uj_loop *loop, struct uj_job *job)
{
  assert(loop->covered == NULL && job->place == UJ_AT_NONE);
  loop->covered = job;
  loop->busy_next = false;
  job->place = UJ_AT_READY;
  uj_link_append(loop->busy.next, &job->queue); /* as the first */
}

/* Whether it is the turn of the covered job. */
UJ_SELDOM static bool is_turn_of_covered(const struct uj_loop *loop,
                                         const struct uj_link *queue)
{
  return queue == &loop->busy && !uj_link_empty(queue) &&
         uj_job_first(queue) == loop->covered;
}

static void make_batch(struct uj_loop *loop)
{
  uj_link_splice(&loop->busy, &loop->preempted);
  uj_link_splice(&loop->batch, &loop->ready);
  if (loop->shuffles)
    uj_shuffle(&loop->batch, &loop->seed);
}

/* What this turn runs: the rest of a batch, a new batch, or one busy job when
 * it is its turn or no other job is ready. */
static struct uj_link *next_queue(struct uj_loop *loop)
{
  if (loop->busy_next && !uj_link_empty(&loop->busy))
    return &loop->busy;
  if (uj_link_empty(&loop->batch))
    make_batch(loop);
  return uj_link_empty(&loop->batch) ? &loop->busy : &loop->batch;
}

static void pass_time(struct uj_loop *loop)
{
  bool rang = false;
  (void)expire_timers(loop, loop->latest_ns, &rang);
  if (rang)
    loop->host->alarm(loop);
}

void uj_loop_turn(struct uj_loop *loop)
{
  uint64_t preemptions = loop->preemptions;
  struct uj_link *queue;
  loop->turns++;
  if (uj_timers_bound(&loop->timers) <= loop->latest_ns)
    pass_time(loop);
  loop->latest_ns = UJ_NEVER;
  queue = next_queue(loop);
  if (loop->covered != NULL && is_turn_of_covered(loop, queue)) {
    uj_loop_uncover(loop);
    preemptions = UINT64_MAX; /* it is all that this turn runs */
  }
  while (!uj_link_empty(queue) && loop->preemptions == preemptions) {
    run_first(loop, queue);
    if (queue == &loop->busy)
      break;
  }
  loop->busy_next = queue == &loop->batch && uj_link_empty(queue);
#ifdef UJ_DEBUG
  uj_loop_check(loop);
#endif
}

void uj_loop_close(struct uj_loop *loop, uint64_t span_ns)
{
  struct uj_link *link;
  for (link = loop->scheds.next; link != &loop->scheds; link = link->next) {
    struct uj_sched *sched = uj_container(link, struct uj_sched, link);
    if (!sched->in_turn || sched->closed)
      uj_sched_close_within(sched, NULL, span_ns);
  }
}

void uj_loop_close_open(struct uj_loop *loop)
{
  struct uj_link *link;
  for (link = loop->scheds.next; link != &loop->scheds; link = link->next) {
    struct uj_sched *sched = uj_container(link, struct uj_sched, link);
    if (!sched->closed && !sched->in_turn)
      uj_sched_close(sched, NULL);
  }
}

void uj_loop_stop_times(struct uj_loop *loop)
{
  struct uj_link *link;
  for (link = loop->scheds.next; link != &loop->scheds; link = link->next)
    uj_sched_note_time(uj_container(link, struct uj_sched, link));
}

void uj_loop_start_times(struct uj_loop *loop)
{
  struct uj_link *link;
  for (link = loop->scheds.next; link != &loop->scheds; link = link->next)
    uj_container(link, struct uj_sched, link)->since_ns = uj_loop_now(loop);
}

bool uj_loop_live(const struct uj_loop *loop)
{
  struct uj_link *link;
  for (link = loop->scheds.next; link != &loop->scheds; link = link->next)
    if (uj_container(link, struct uj_sched, link)->nlive != 0)
      return true;
  return false;
}

static bool is_limit(struct uj_timer *timer)
{
  const struct uj_job *job = uj_container(timer, struct uj_job, timer);
  return job->op == UJ_OP_IDLE && job->on_abandon != UJ_ABANDON_NOTHING &&
         job->timer_wake == UJ_WAKE_TIMEOUT;
}

bool uj_loop_waits_for_limits(const struct uj_loop *loop)
{
  return !uj_timer_armed(&loop->alarm) && !uj_timer_armed(&loop->bell) &&
         uj_timers_all(&loop->timers, is_limit);
}

static uint64_t count_queue(const struct uj_link *queue)
{
  uint64_t count = 0;
  for (struct uj_link *link = queue->next; link != queue; link = link->next) {
    struct uj_job *job = uj_container(link, struct uj_job, queue);
    assert(job->place == UJ_AT_READY && !uj_timer_armed(&job->timer));
    (void)job;
    count++;
  }
  return count;
}

uint64_t uj_loop_count_ready(const struct uj_loop *loop)
{
  return count_queue(&loop->ready) + count_queue(&loop->batch) +
         count_queue(&loop->preempted) + count_queue(&loop->busy);
}

void uj_loop_check(const struct uj_loop *loop)
{
  struct uj_link *link;
  for (link = loop->scheds.next; link != &loop->scheds; link = link->next) {
    uj_sched_check(uj_container(link, struct uj_sched, link));
    uj_sched_check_held(uj_container(link, struct uj_sched, link));
  }
  (void)uj_loop_count_ready(loop);
  (void)uj_timers_check(&loop->timers);
}
