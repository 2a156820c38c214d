#include "core/ranks.h"

#include "core/loop.h"
#include "core/order.h"

/* ---- who is next --------------------------------------------------------- */

/* Who comes first: the first of a list if it has no rank, since it came before
 * all that have one; or a waiter, which is the first of the line. */
static struct uj_job *first_of(const struct uj_sched *sched,
                               const struct uj_link *list,
                               struct uj_waiter *waiter)
{
  struct uj_job *elder = uj_link_empty(list) ? NULL : uj_job_first(list);
  if (elder != NULL && !elder->ranked &&
      (waiter == NULL || waiter->level >= UJ_LEVEL_DEFAULT))
    return elder;
  if (waiter == NULL)
    return NULL;
  return uj_job_of_rank(sched, uj_container(waiter, struct uj_rank, waiter));
}

/* Who gets the next slot; NULL when it is nobody. A blocked job does so when
 * every pending one is of a key at its limit. */
static struct uj_job *next_to_start(struct uj_sched *sched)
{
  struct uj_order *order = sched->order;
  struct uj_job *job;
  uint64_t now_ns = uj_sched_line_now(sched);
  uj_lineup_age(&order->pending, now_ns);
  job = first_of(sched, &sched->pending, uj_lineup_first_open(&order->pending));
  if (job != NULL)
    return job;
  uj_lineup_age(&order->blocked, now_ns);
  return first_of(sched, &sched->blocked,
                  uj_lineup_first_open(&order->blocked));
}

/* Who of the blocked gets the next place in the pending queue, whether its key
 * is at its limit or not; NULL when it is nobody, or there is no place. */
static struct uj_job *next_to_enter(struct uj_sched *sched)
{
  struct uj_order *order = sched->order;
  if (sched->closed || sched->npending >= sched->pending_limit)
    return NULL;
  uj_lineup_age(&order->blocked, uj_sched_line_now(sched));
  return first_of(sched, &sched->blocked, uj_lineup_first(&order->blocked));
}

/* Puts a job into a list behind all others; but those without a rank stay
 * before those with one. One that has none comes late only if the scheduler got
 * its order while the job was being made. */
static void append(struct uj_link *list, struct uj_job *job)
{
  bool is_late = !job->ranked && !uj_link_empty(list) &&
                 uj_container(list->prev, struct uj_job, queue)->ranked;
  uj_link_append(is_late ? list->next : list, &job->queue);
}

/* ---- letting in ---------------------------------------------------------- */

static bool may_start(const struct uj_sched *sched, const struct uj_job *job)
{
  return uj_sched_may_start(sched) &&
         (!job->ranked ||
          uj_order_key_is_open(sched->order, uj_job_rank(job)->key));
}

static void give_slot(struct uj_sched *sched, struct uj_job *job)
{
  struct uj_order *order = sched->order;
  struct uj_rank *rank = uj_job_rank(job);
  uj_sched_activate(sched, job);
  if (job->ranked)
    uj_order_add_active(order, rank->key);
  if (!order->is_rated)
    return;
  if (job->ranked) {
    rank->is_starting = true;
    order->nstarting++;
  } else /* nobody will notice when it starts */
    uj_rate_take(&order->rate, &order->bucket, uj_loop_now(sched->loop));
}

static void give_place(struct uj_sched *sched, struct uj_job *job)
{
  struct uj_order *order = sched->order;
  struct uj_rank *rank = uj_job_rank(job);
  uj_sched_note_pending(sched, job);
  append(&sched->pending, job);
  if (job->ranked)
    uj_lineup_put(&order->pending, &rank->key->pending, &rank->waiter,
                  uj_sched_line_now(sched));
}

/* The spawner is told that it waits in vain: there is another job of the key,
 * which the binding finds. */
static void turn_away(struct uj_job *job)
{
  uj_job_rank(job)->is_turned_away = true;
  uj_waitq_wake_all(&job->waiters);
  uj_job_drop(job);
}

/* A job was admitted: it is the youngest of its key. */
static void welcome(struct uj_sched *sched, struct uj_job *job)
{
  struct uj_group *key;
  if (!job->ranked)
    return;
  key = uj_job_rank(job)->key;
  uj_link_append(&key->jobs, &uj_job_rank(job)->sibling);
  while (!uj_link_empty(&key->hopefuls))
    turn_away(uj_job_of_rank(
        sched, uj_container(key->hopefuls.next, struct uj_rank, sibling)));
}

int uj_ranks_admit(struct uj_sched *sched, struct uj_job *job)
{
  uj_ranks_let_in(sched); /* time has passed: nobody must be overtaken */
  if (may_start(sched, job))
    give_slot(sched, job);
  else if (sched->npending < sched->pending_limit)
    give_place(sched, job);
  else
    return UJ_EFULL;
  uj_sched_add(sched, job);
  welcome(sched, job);
  if (job->state == UJ_JOB_PENDING)
    uj_ranks_let_in(sched);
  return UJ_OK;
}

/* Takes a job that waits out of where it does, since it was its turn. */
static void call_up(struct uj_sched *sched, struct uj_job *job)
{
  bool is_pending = job->state == UJ_JOB_PENDING;
  uj_link_remove(&job->queue);
  if (is_pending)
    sched->npending--;
  if (!job->ranked)
    return;
  uj_lineup_serve(is_pending ? &sched->order->pending : &sched->order->blocked,
                  &uj_job_rank(job)->waiter);
}

/* One that was blocked becomes a job of the scheduler; its spawner goes on. */
static void admit_blocked(struct uj_sched *sched, struct uj_job *job)
{
  uj_sched_add(sched, job);
  uj_waitq_wake_all(&job->waiters);
  if (job->ranked)
    uj_link_remove(&uj_job_rank(job)->sibling); /* of the hopefuls */
  welcome(sched, job);
}

static bool let_one_in(struct uj_sched *sched)
{
  struct uj_job *job = uj_sched_may_start(sched) ? next_to_start(sched) : NULL;
  bool starts = job != NULL, was_blocked;
  if (!starts)
    job = next_to_enter(sched);
  if (job == NULL)
    return false;
  was_blocked = job->state == UJ_JOB_NEW;
  call_up(sched, job);
  if (starts)
    give_slot(sched, job);
  else
    give_place(sched, job);
  if (was_blocked)
    admit_blocked(sched, job);
  return true;
}

/* Whether nothing but the rate holds somebody back. */
static bool waits_for_rate(struct uj_sched *sched)
{
  return sched->order->is_rated && !sched->paused && !sched->closed &&
         sched->nactive < sched->limit && !uj_sched_may_start(sched) &&
         next_to_start(sched) != NULL;
}

void uj_ranks_let_in(struct uj_sched *sched)
{
  while (let_one_in(sched))
    continue;
  uj_sched_take_bell(sched);
  if (waits_for_rate(sched))
    uj_sched_set_bell(sched);
}

void uj_ranks_block(struct uj_sched *sched, struct uj_job *job)
{
  struct uj_order *order = sched->order;
  struct uj_rank *rank = uj_job_rank(job);
  job->place = UJ_AT_BLOCKED;
  append(&sched->blocked, job);
  if (job->ranked) {
    uj_lineup_put(&order->blocked, rank->key->blocked, &rank->waiter,
                  uj_sched_line_now(sched));
    if (rank->is_unique)
      uj_link_append(&rank->key->hopefuls, &rank->sibling);
  }
  uj_ranks_let_in(sched);
}

static void leave_start(struct uj_order *order, struct uj_rank *rank)
{
  if (rank->is_starting)
    order->nstarting--;
  rank->is_starting = false;
}

static void leave_rank(struct uj_sched *sched, struct uj_job *job,
                       enum uj_job_state was)
{
  struct uj_order *order = sched->order;
  struct uj_rank *rank = uj_job_rank(job);
  uj_order_forget(order, rank, uj_sched_line_now(sched));
  if (was != UJ_JOB_PENDING)
    uj_order_remove_active(order, rank->key);
  leave_start(order, rank);
}

/* The others are let in afterwards, and the bell is set again if it has to be.
 */
void uj_ranks_leave(struct uj_job *job, enum uj_job_state was)
{
  if (job->ranked && !job->shielded)
    leave_rank(job->sched, job, was);
  uj_sched_take_bell(job->sched);
}

/* ---- the rate ------------------------------------------------------------ */

/* Only now the bucket is charged: the time of a start is when the job runs for
 * the first time, and one that ends before has taken nothing. */
void uj_ranks_note_start(struct uj_job *job)
{
  struct uj_order *order = job->sched->order;
  struct uj_rank *rank = uj_job_rank(job);
  if (!rank->is_starting)
    return;
  leave_start(order, rank);
  if (order->is_rated)
    uj_rate_take(&order->rate, &order->bucket, uj_loop_now(job->sched->loop));
}

void uj_ranks_ring(struct uj_loop *loop)
{
  uint64_t now_ns = uj_loop_now(loop);
  struct uj_pnode *first;
  while ((first = loop->bells.first) != NULL && first->value <= now_ns) {
    struct uj_sched *sched = uj_container(first, struct uj_order, bell)->sched;
    uj_sched_note_time(sched);
    uj_ranks_let_in(sched);
  }
  uj_loop_set_bell(loop);
}
