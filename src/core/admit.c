#include "core/admit.h"

#include <assert.h>

#include "core/loop.h"
#include "core/order.h"
#include "core/ranks.h"

static void enqueue(struct uj_sched *sched, struct uj_job *job)
{
  uj_sched_note_pending(sched, job);
  uj_link_append(&sched->pending, &job->queue);
}

int uj_sched_spawn(struct uj_sched *sched, struct uj_job *job)
{
  int room = uj_sched_room(sched);
  if (room != UJ_OK)
    return room;
  uj_sched_note_time(sched);
  if (uj_sched_has_slot(sched))
    uj_sched_activate(sched, job);
  else if (sched->order != NULL)
    return uj_ranks_admit(sched, job);
  else
    enqueue(sched, job);
  uj_sched_add(sched, job);
  return UJ_OK;
}

int uj_sched_shield(struct uj_sched *sched, struct uj_job *job)
{
  if (sched->closed)
    return UJ_ECLOSED;
  job->shielded = true;
  uj_sched_activate(sched, job);
  sched->nactive--;
  sched->loop->spawned++;
  sched->nlive++;
  uj_link_append(&sched->shields, &job->member);
  return UJ_OK;
}

void uj_sched_block(struct uj_sched *sched, struct uj_job *job,
                    struct uj_job *spawner)
{
  assert(sched->order != NULL || uj_sched_room(sched) == UJ_EFULL);
  spawner->target = job;
  uj_job_park(spawner, &job->waiters, UJ_NEVER, UJ_OP_SPAWN);
  if (uj_waitq_empty(&job->waiters)) { /* the wait was refused */
    uj_job_drop(job);
    return;
  }
  if (sched->order != NULL) {
    uj_ranks_block(sched, job);
    return;
  }
  job->place = UJ_AT_BLOCKED;
  uj_link_append(&sched->blocked, &job->queue);
}

static void promote_pending(struct uj_sched *sched)
{
  if (sched->order != NULL) {
    uj_ranks_let_in(sched);
    return;
  }
  while (uj_sched_has_slot(sched) && !uj_link_empty(&sched->pending)) {
    struct uj_job *job = uj_job_first(&sched->pending);
    uj_link_remove(&job->queue);
    sched->npending--;
    uj_sched_activate(sched, job);
  }
}

static void admit_blocked(struct uj_sched *sched)
{
  if (sched->order != NULL) {
    uj_ranks_let_in(sched);
    return;
  }
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
  bool none = sched->paused || sched->order != NULL;
  sched->slots = none ? 0 : sched->limit;
}

void uj_sched_set_order(struct uj_sched *sched, struct uj_order *order)
{
  assert(sched->order == NULL);
  order->sched = sched;
  sched->order = order;
  set_slots(sched);
}

void uj_sched_set_key_limit(struct uj_sched *sched, uint64_t key_limit)
{
  uj_sched_note_time(sched);
  uj_order_set_key_limit(sched->order, key_limit);
  let_in(sched);
}

void uj_sched_set_rate(struct uj_sched *sched, double per_s, uint64_t burst)
{
  uj_sched_note_time(sched);
  uj_order_set_rate(sched->order, per_s, burst, uj_loop_now(sched->loop));
  let_in(sched);
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
  if (sched->order != NULL)
    uj_sched_take_bell(sched);
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
  if (sched->order != NULL)
    uj_ranks_leave(job, was);
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
