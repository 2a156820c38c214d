#include "core/admit.h"

#include <assert.h>

#include "core/loop.h"

/* Gives a job a slot: it starts when its turn comes in the ready queue. */
static void activate(struct uj_sched *sched, struct uj_job *job)
{
  uj_job_move(job, UJ_JOB_ACTIVE);
  sched->nactive++;
  uj_job_make_ready(job);
}

static void enqueue(struct uj_sched *sched, struct uj_job *job)
{
  assert(sched->npending < sched->pending_limit); /* M2 */
  uj_job_move(job, UJ_JOB_PENDING);
  sched->npending++;
  job->place = UJ_AT_PENDING;
  uj_link_append(&sched->pending, &job->queue);
}

int uj_sched_spawn(struct uj_sched *sched, struct uj_job *job)
{
  int room = uj_sched_room(sched);
  if (room != UJ_OK)
    return room;
  uj_sched_note_time(sched);
  if (uj_sched_has_slot(sched))
    activate(sched, job);
  else
    enqueue(sched, job);
  sched->loop->spawned++;
  sched->nlive++;
  uj_link_append(&sched->jobs, &job->member);
  return UJ_OK;
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

void uj_sched_block(struct uj_sched *sched, struct uj_job *job,
                    struct uj_job *spawner)
{
  assert(uj_sched_room(sched) == UJ_EFULL);
  spawner->target = job;
  uj_job_park(spawner, &job->waiters, UJ_NEVER, UJ_OP_SPAWN);
  if (uj_waitq_empty(&job->waiters)) { /* the wait was refused */
    uj_job_drop(job);
    return;
  }
  job->place = UJ_AT_BLOCKED;
  uj_link_append(&sched->blocked, &job->queue);
}

static void promote_pending(struct uj_sched *sched)
{
  while (uj_sched_has_slot(sched) && !uj_link_empty(&sched->pending)) {
    struct uj_job *job = uj_job_first(&sched->pending);
    uj_link_remove(&job->queue);
    sched->npending--;
    activate(sched, job);
  }
}

static void admit_blocked(struct uj_sched *sched)
{
  while (!uj_link_empty(&sched->blocked) && uj_sched_room(sched) == UJ_OK) {
    struct uj_job *job = uj_job_first(&sched->blocked);
    uj_link_remove(&job->queue);
    (void)uj_sched_spawn(sched, job);
    uj_waitq_wake_all(&job->waiters);
  }
}

/* Lets in who is next, as many as there is room for. The caller has noted the
 * time. Mostly nobody is next, which is seen here, without two calls. */
static inline void let_in(struct uj_sched *sched)
{
  if (!uj_link_empty(&sched->pending))
    promote_pending(sched);
  if (!uj_link_empty(&sched->blocked))
    admit_blocked(sched);
}

static void set_slots(struct uj_sched *sched)
{
  sched->slots = sched->paused ? 0 : sched->limit;
}

void uj_sched_set_limit(struct uj_sched *sched, uint64_t limit)
{
  uj_sched_note_time(sched);
  sched->limit = limit;
  set_slots(sched);
  let_in(sched);
}

void uj_sched_set_pending_limit(struct uj_sched *sched, uint64_t pending_limit)
{
  uj_sched_note_time(sched);
  sched->pending_limit = pending_limit;
  let_in(sched);
}

static void hold(struct uj_sched *sched, struct uj_job *job)
{
  uj_link_remove(&job->queue);
  job->place = UJ_AT_HELD;
  uj_link_append(&sched->held, &job->queue);
}

void uj_sched_pause(struct uj_sched *sched)
{
  struct uj_link *link = sched->jobs.next;
  if (sched->paused)
    return;
  sched->paused = true;
  set_slots(sched);
  for (; link != &sched->jobs; link = link->next) {
    struct uj_job *job = uj_container(link, struct uj_job, member);
    if (job->place == UJ_AT_READY && !job->started)
      hold(sched, job);
  }
}

void uj_sched_resume(struct uj_sched *sched)
{
  uj_sched_note_time(sched);
  sched->paused = false;
  set_slots(sched);
  while (!uj_link_empty(&sched->held)) {
    struct uj_job *job = uj_job_first(&sched->held);
    uj_link_remove(&job->queue);
    uj_job_make_ready(job);
  }
  let_in(sched);
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

/* Gives back the slot or the place in the pending queue of a job that has
 * ended. */
static void give_back(struct uj_sched *sched, const struct uj_job *job,
                      enum uj_job_state was)
{
  uj_sched_note_time(sched);
  sched->ended[job->state - UJ_JOB_DONE]++;
  if (was == UJ_JOB_PENDING)
    sched->npending--;
  else
    sched->nactive--;
}

void uj_sched_remove(struct uj_sched *sched, struct uj_job *job,
                     enum uj_job_state was)
{
  uj_link_remove(&job->member);
  sched->nlive--;
  if (!job->shielded)
    give_back(sched, job, was);
  let_in(sched);
  wake_idle(sched);
}

void uj_sched_check_held(const struct uj_sched *sched)
{
  struct uj_link *link = sched->held.next;
  for (; link != &sched->held; link = link->next) {
    const struct uj_job *job = uj_container(link, struct uj_job, queue);
    assert(job->state == UJ_JOB_ACTIVE && job->place == UJ_AT_HELD);
    assert(!job->started && !job->shielded);
    (void)job;
  }
}
