#include "core/order.h"

#include <assert.h>

#include "core/clock.h"

void uj_order_init(struct uj_order *order, struct uj_order_ages *ages,
                   uint64_t aging_ns, bool is_fair)
{
  *order = (struct uj_order){.key_limit = UINT64_MAX, .start_burst = 1};
  uj_lineup_init(&order->pending, ages != NULL ? &ages->pending : NULL,
                 aging_ns, is_fair);
  uj_lineup_init(&order->blocked, ages != NULL ? &ages->blocked : NULL,
                 aging_ns, is_fair);
  uj_link_init(&order->keys);
  uj_group_init(order, &order->nobody);
  uj_link_remove(&order->nobody.link);
  uj_lane_init(&order->nobody_blocked);
  order->nobody.blocked = &order->nobody_blocked;
}

void uj_group_init(struct uj_order *order, struct uj_group *key)
{
  uj_lane_init(&key->pending);
  key->blocked = NULL;
  uj_link_append(&order->keys, &key->link);
  uj_link_init(&key->jobs);
  uj_link_init(&key->hopefuls);
  key->nactive = 0;
}

void uj_group_term(struct uj_group *key)
{
  assert(key->nactive == 0 && uj_link_empty(&key->jobs));
  uj_link_remove(&key->link);
}

/* Shuts or opens the lanes of a key, by its limit. */
static void settle(struct uj_order *order, struct uj_group *key)
{
  bool is_shut = !uj_order_key_is_open(order, key);
  uj_lineup_shut(&order->pending, &key->pending, is_shut);
  if (key->blocked != NULL)
    uj_lineup_shut(&order->blocked, key->blocked, is_shut);
}

void uj_group_set_blocked(struct uj_order *order, struct uj_group *key,
                          struct uj_lane *lane)
{
  uj_lane_init(lane);
  key->blocked = lane;
  settle(order, key);
}

void uj_rank_init(struct uj_order *order, struct uj_rank *rank,
                  unsigned priority, struct uj_group *key, bool is_unique)
{
  uj_waiter_init(&rank->waiter, priority);
  uj_link_init(&rank->sibling);
  rank->key = key != NULL ? key : &order->nobody;
  rank->is_unique = is_unique;
  rank->is_starting = false;
  rank->is_turned_away = false;
}

void uj_order_add_active(struct uj_order *order, struct uj_group *key)
{
  key->nactive++;
  settle(order, key);
}

void uj_order_remove_active(struct uj_order *order, struct uj_group *key)
{
  assert(key->nactive > 0);
  key->nactive--;
  settle(order, key);
}

void uj_order_set_key_limit(struct uj_order *order, uint64_t key_limit)
{
  order->key_limit = key_limit;
  for (struct uj_link *link = order->keys.next; link != &order->keys;
       link = link->next)
    settle(order, uj_container(link, struct uj_group, link));
}

void uj_order_set_rate(struct uj_order *order, double per_s, uint64_t burst,
                       uint64_t now_ns)
{
  struct uj_rate from = order->rate;
  bool was_rated = order->is_rated;
  order->start_rate = per_s;
  order->start_burst = burst;
  order->is_rated = per_s > 0;
  if (!order->is_rated)
    return;
  uj_rate_init(&order->rate, per_s, burst);
  if (was_rated)
    uj_rate_change(&from, &order->rate, &order->bucket, now_ns);
  else
    order->bucket = (struct uj_bucket){{0, 0}};
}

void uj_order_forget(struct uj_order *order, struct uj_rank *rank,
                     uint64_t now_ns)
{
  struct uj_lane *lane = rank->waiter.lane;
  if (lane != NULL)
    uj_lineup_remove(lane == &rank->key->pending ? &order->pending
                                                 : &order->blocked,
                     &rank->waiter, now_ns);
  uj_link_remove(&rank->sibling);
}

void uj_order_check(const struct uj_order *order)
{
  uj_lineup_check(&order->pending);
  uj_lineup_check(&order->blocked);
  for (struct uj_link *link = order->keys.next; link != &order->keys;
       link = link->next) {
    const struct uj_group *key = uj_container(link, struct uj_group, link);
    assert(key->pending.is_shut == !uj_order_key_is_open(order, key));
    (void)key;
  }
}
