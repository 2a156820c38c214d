#include "core/sched.h"

#include <assert.h>

#include "core/loop.h"

#define NS_PER_S UINT64_C(1000000000)

void uj_sched_init(struct uj_sched *sched, struct uj_loop *loop)
{
  sched->loop = loop;
  uj_link_append(&loop->scheds, &sched->link);
  uj_link_init(&sched->jobs);
  uj_link_init(&sched->shields);
  uj_link_init(&sched->pending);
  uj_link_init(&sched->blocked);
  uj_waitq_init(&sched->idle);
  uj_waitq_init(&sched->alone);
  sched->limit = 100;
  sched->pending_limit = 10000;
  sched->nactive = 0;
  sched->npending = 0;
  sched->nlive = 0;
  sched->close_ns = NS_PER_S / 10;
  sched->wait_ns = 60 * NS_PER_S;
  sched->slice_ns = UJ_NEVER;
  sched->closed = false;
}

void uj_sched_term(struct uj_sched *sched)
{
  assert(sched->nlive == 0);
  sched->closed = true;
  uj_link_remove(&sched->link);
}

/* Gives a job a slot: it starts when its turn comes in the ready queue. */
static void activate(struct uj_sched *sched, struct uj_job *job)
{
  uj_job_move(job, UJ_JOB_ACTIVE);
  sched->nactive++;
  uj_loop_add_ready(sched->loop, job);
}

static void enqueue(struct uj_sched *sched, struct uj_job *job)
{
  uj_job_move(job, UJ_JOB_PENDING);
  sched->npending++;
  job->place = UJ_AT_PENDING;
  uj_link_append(&sched->pending, &job->queue);
}

static bool has_room(const struct uj_sched *sched)
{
  return sched->nactive < sched->limit ||
         sched->npending < sched->pending_limit;
}

int uj_sched_spawn(struct uj_sched *sched, struct uj_job *job)
{
  if (sched->closed)
    return UJ_ECLOSED;
  if (sched->nactive < sched->limit)
    activate(sched, job);
  else if (sched->npending < sched->pending_limit)
    enqueue(sched, job);
  else
    return UJ_EFULL;
  sched->loop->spawned++;
  sched->nlive++;
  uj_link_append(&sched->jobs, &job->member);
  return UJ_OK;
}

void uj_sched_block(struct uj_sched *sched, struct uj_job *job,
                    struct uj_job *spawner)
{
  assert(!sched->closed && !has_room(sched));
  spawner->target = job;
  uj_job_park(spawner, &job->waiters, UJ_NEVER, UJ_OP_SPAWN);
  if (uj_waitq_empty(&job->waiters)) { /* interrupted: it never waits */
    uj_sched_unblock(job);
    return;
  }
  job->place = UJ_AT_BLOCKED;
  uj_link_append(&sched->blocked, &job->queue);
}

void uj_sched_unblock(struct uj_job *job)
{
  assert(job->state == UJ_JOB_NEW);
  uj_link_remove(&job->queue);
  job->place = UJ_AT_NONE;
  uj_job_move(job, UJ_JOB_CANCELLED);
  job->sched->loop->host->ended(job->sched->loop, job);
}

int uj_sched_shield(struct uj_sched *sched, struct uj_job *job)
{
  if (sched->closed)
    return UJ_ECLOSED;
  job->shielded = true;
  activate(sched, job);
  sched->nactive--;
  sched->loop->spawned++;
  sched->nlive++;
  uj_link_append(&sched->shields, &job->member);
  return UJ_OK;
}

static struct uj_job *first_in(const struct uj_link *queue)
{
  return uj_container(queue->next, struct uj_job, queue);
}

static void promote_pending(struct uj_sched *sched)
{
  while (sched->nactive < sched->limit && !uj_link_empty(&sched->pending)) {
    struct uj_job *job = first_in(&sched->pending);
    uj_link_remove(&job->queue);
    sched->npending--;
    activate(sched, job);
  }
}

static void admit_blocked(struct uj_sched *sched)
{
  while (has_room(sched) && !uj_link_empty(&sched->blocked)) {
    struct uj_job *job = first_in(&sched->blocked);
    uj_link_remove(&job->queue);
    (void)uj_sched_spawn(sched, job);
    uj_waitq_wake_all(&job->waiters);
  }
}

static void drop_blocked(struct uj_sched *sched)
{
  while (!uj_link_empty(&sched->blocked)) {
    struct uj_job *job = first_in(&sched->blocked);
    struct uj_job *spawner = uj_waitq_first(&job->waiters);
    assert(spawner != NULL);
    uj_job_wake(spawner, UJ_WAKE_CLOSED); /* it takes its job with it */
  }
}

static uint64_t count_waiters(const struct uj_waitq *waitq)
{
  uint64_t count = 0;
  const struct uj_link *link = waitq->jobs.next;
  for (; link != &waitq->jobs; link = link->next)
    count++;
  return count;
}

static void wake_idle(struct uj_sched *sched)
{
  if (sched->nlive == 0)
    uj_waitq_wake_all(&sched->idle);
  else if (!uj_waitq_empty(&sched->alone) &&
           count_waiters(&sched->alone) == sched->nlive)
    uj_waitq_wake_all(&sched->alone);
}

void uj_sched_wait_alone(struct uj_sched *sched, struct uj_job *self)
{
  assert(self->sched == sched);
  uj_job_park(self, &sched->alone, UJ_NEVER, UJ_OP_IDLE);
  wake_idle(sched);
}

void uj_sched_remove(struct uj_sched *sched, struct uj_job *job,
                     enum uj_job_state was)
{
  uj_link_remove(&job->member);
  sched->nlive--;
  if (was == UJ_JOB_PENDING)
    sched->npending--;
  else if (!job->shielded)
    sched->nactive--;
  promote_pending(sched);
  admit_blocked(sched);
  wake_idle(sched);
}

/* Ends the pending jobs: none of them may move into a slot meanwhile. */
static void drop_pending(struct uj_sched *sched)
{
  while (!uj_link_empty(&sched->pending)) {
    struct uj_job *job = first_in(&sched->pending);
    job->cancel = true;
    uj_job_end(job, UJ_JOB_CANCELLED);
  }
}

/* Closes the jobs of a list. One that never ran ends at once and leaves it. */
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
  drop_blocked(sched);
  drop_pending(sched);
  close_all(&sched->jobs, closer, span_ns);
  close_all(&sched->shields, closer, span_ns);
}

void uj_sched_close(struct uj_sched *sched, struct uj_job *closer)
{
  uj_sched_close_within(sched, closer, UJ_NEVER);
}

static uint64_t count_links(const struct uj_link *list)
{
  uint64_t count = 0;
  for (const struct uj_link *l = list->next; l != list; l = l->next, count++)
    assert(l->next->prev == l);
  return count;
}

void uj_sched_check(const struct uj_sched *sched)
{
  uint64_t jobs = count_links(&sched->jobs);
  uint64_t shields = count_links(&sched->shields);
  assert(sched->nactive <= sched->limit);
  assert(sched->npending <= sched->pending_limit);
  assert(count_links(&sched->pending) == sched->npending);
  assert(jobs == sched->nactive + sched->npending);
  assert(sched->nlive == jobs + shields);
  assert(sched->npending == 0 || sched->nactive == sched->limit);
  assert(uj_link_empty(&sched->blocked) || !has_room(sched));
  assert(!sched->closed ||
         (sched->npending == 0 && uj_link_empty(&sched->blocked)));
  (void)jobs;
  (void)shields;
}
