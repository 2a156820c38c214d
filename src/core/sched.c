#include "core/sched.h"

#include <assert.h>

#include "core/clock.h"
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
  assert(uj_link_empty(&sched->blocked) || uj_sched_room(sched) == UJ_EFULL);
  assert(!sched->closed ||
         (sched->npending == 0 && uj_link_empty(&sched->blocked)));
  (void)jobs;
  (void)shields;
}
