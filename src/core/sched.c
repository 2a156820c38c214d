#include "core/sched.h"

#include <assert.h>

#include "core/clock.h"
#include "core/loop.h"
#include "core/order.h"

#define NS_PER_S UINT64_C(1000000000)

void uj_sched_init(struct uj_sched *sched, struct uj_loop *loop)
{
  sched->loop = loop;
  uj_link_append(&loop->scheds, &sched->link);
  loop->nscheds++;
  uj_link_init(&sched->jobs);
  uj_link_init(&sched->shields);
  uj_link_init(&sched->pending);
  uj_link_init(&sched->held);
  uj_link_init(&sched->blocked);
  uj_link_init(&sched->dependants);
  uj_waitq_init(&sched->idle);
  uj_waitq_init(&sched->alone);
  sched->limit = 100;
  sched->slots = 100;
  sched->pending_limit = 10000;
  sched->nactive = 0;
  sched->npending = 0;
  sched->nlive = 0;
  sched->close_ns = NS_PER_S / 10;
  sched->wait_ns = UJ_NEVER;
  sched->slice_ns = UJ_NEVER;
  for (int i = 0; i < UJ_SCHED_ENDS; i++)
    sched->ended[i] = 0;
  sched->waiting_ns = 0;
  sched->running_ns = 0;
  sched->since_ns = 0;
  sched->order = NULL;
  sched->nunseen = 0;
  sched->nheld = 0;
  sched->held_ns = 0;
  sched->timed = false;
  sched->paused = false;
  sched->closed = false;
  sched->in_turn = false;
  sched->stops = false;
  sched->announces_starts = false;
  sched->announces_ends = false;
  sched->nursery = false;
}

bool uj_sched_may_start(const struct uj_sched *sched)
{
  const struct uj_order *order = sched->order;
  uint64_t now_ns;
  if (sched->paused || sched->closed || sched->nactive >= sched->limit)
    return false;
  if (!order->is_rated)
    return true;
  now_ns = uj_loop_now(sched->loop);
  return uj_order_due(order, now_ns) <= now_ns;
}

uint64_t uj_sched_line_now(const struct uj_sched *sched)
{
  return sched->order->pending.ages != NULL ? uj_loop_now(sched->loop) : 0;
}

void uj_sched_set_bell(struct uj_sched *sched)
{
  struct uj_order *order = sched->order;
  uint64_t due_ns = uj_order_due(order, uj_loop_now(sched->loop));
  if (due_ns == UJ_NEVER)
    return;
  order->rings = true;
  uj_loop_add_bell(sched->loop, &order->bell, due_ns);
}

void uj_sched_take_bell(struct uj_sched *sched)
{
  struct uj_order *order = sched->order;
  if (order->rings)
    uj_loop_remove_bell(sched->loop, &order->bell);
  order->rings = false;
}

void uj_sched_hush(struct uj_sched *sched)
{
  if (sched->npending == 0 && uj_link_empty(&sched->blocked))
    uj_sched_take_bell(sched);
}

/* The number of jobs, summed over the time, is the time summed over the jobs:
 * so no job has to remember since when it waits. */
void uj_sched_add_time(struct uj_sched *sched)
{
  uint64_t now_ns = uj_loop_now(sched->loop);
  double span_ns = (double)(now_ns - sched->since_ns);
  sched->waiting_ns += span_ns * (double)sched->npending;
  sched->running_ns += span_ns * (double)sched->nactive;
  sched->since_ns = now_ns;
}

void uj_sched_dismiss(struct uj_sched *sched)
{
  while (!uj_link_empty(&sched->dependants)) {
    struct uj_link *link = sched->dependants.next;
    struct uj_dependant *first = uj_container(link, struct uj_dependant, link);
    uj_link_remove(link);
    first->dismiss(first);
  }
}

void uj_sched_term(struct uj_sched *sched)
{
  assert(sched->nlive == 0);
  sched->closed = true;
  if (sched->order != NULL)
    uj_sched_take_bell(sched);
  uj_link_remove(&sched->link);
}

static uint64_t count_links(const struct uj_link *list)
{
  uint64_t count = 0;
  for (const struct uj_link *l = list->next; l != list; l = l->next, count++)
    assert(l->next->prev == l);
  return count;
}

static void check_order(const struct uj_sched *sched)
{
  const struct uj_order *order = sched->order;
  uj_order_check(order);
  assert(order->pending.count <= sched->npending);
  assert(!order->rings || sched->npending > 0 ||
         !uj_link_empty(&sched->blocked));
  assert(uj_link_empty(&sched->blocked) ||
         sched->npending >= sched->pending_limit);
}

void uj_sched_check(const struct uj_sched *sched)
{
  uint64_t jobs = count_links(&sched->jobs);
  uint64_t shields = count_links(&sched->shields);
  assert(count_links(&sched->pending) == sched->npending);
  assert(jobs == sched->nactive + sched->npending);
  assert(sched->nlive == jobs + shields);
  assert(sched->slots ==
         (sched->paused || sched->order != NULL ? 0 : sched->limit));
  assert(sched->npending == 0 || !uj_sched_has_slot(sched));
  if (sched->order != NULL)
    check_order(sched);
  else
    assert(uj_link_empty(&sched->blocked) || uj_sched_room(sched) == UJ_EFULL);
  assert(uj_link_empty(&sched->held) || sched->paused);
  assert(!sched->closed ||
         (sched->npending == 0 && uj_link_empty(&sched->held) &&
          uj_link_empty(&sched->blocked)));
  (void)jobs;
  (void)shields;
}
