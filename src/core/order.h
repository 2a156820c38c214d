/* The record of a scheduler whose jobs do not simply start in the order in
 * which they came: by priority, with aging, by turns of the keys, with a limit
 * for each key, at a rate. Only a scheduler that uses one of these has it, and
 * only its jobs have a rank. admit.c lets jobs in by it.
 *
 * The pending jobs of such a scheduler, and the jobs whose spawners are
 * blocked, wait in a line each. Besides they are in uj_sched::pending and
 * ::blocked as always. Jobs that had come before the scheduler got this record
 * are in those lists alone, at their beginning; they count as jobs without a
 * key, of the default priority, that came before all others. */
#ifndef UJ_CORE_ORDER_H
#define UJ_CORE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/lineup.h"
#include "core/link.h"
#include "core/pqueue.h"
#include "core/rate.h"

struct uj_sched;

/* What jobs share whose key is the same. It is the host's, and must live as
 * long as any of these jobs. */
struct uj_group {
  struct uj_lane pending;
  struct uj_lane *blocked; /* borrowed; NULL until a job of this key is blocked,
                              and for the host to set */
  struct uj_link link;     /* in uj_order::keys */
  struct uj_link jobs; /* of uj_rank::sibling: its jobs that live, the oldest
                          first */
  struct uj_link hopefuls; /* of uj_rank::sibling: blocked ones that are to be
                              unique */
  uint64_t nactive;
};

/* What a job has besides when its scheduler has an order. Of the host, which
 * keeps it in the job: see uj_host::rank_offset. */
struct uj_rank {
  struct uj_waiter waiter; /* in uj_order::pending or ::blocked */
  struct uj_link sibling;
  struct uj_group *key; /* NULL when it has ended */
  uint16_t place;       /* for the host: where it keeps the value of the key */
  bool is_unique;       /* it must not be admitted while another one of its key
                           lives */
  bool is_starting;     /* it is among uj_order::nstarting */
  bool is_turned_away;  /* for that reason it has been dropped */
};

/* It is the host's, and lives as long as its scheduler. */
struct uj_order {
  struct uj_sched *sched; /* borrowed */
  struct uj_lineup pending;
  struct uj_lineup blocked;
  struct uj_group nobody; /* of jobs without a key; it knows no limit */
  struct uj_lane nobody_blocked;
  struct uj_link keys; /* of uj_group::link: all but `nobody` */
  uint64_t key_limit;  /* of uj_group::nactive */
  struct uj_rate rate; /* of starts */
  struct uj_bucket bucket;
  uint64_t nstarting; /* jobs that have a slot and have not started, and so not
                         taken from the bucket */
  struct uj_pnode bell; /* in uj_loop::bells: jobs wait for the rate alone */
  bool is_rated;        /* it has a rate */
  bool rings;           /* `bell` is in the queue */
  double start_rate;    /* for the host: what it has set */
  uint64_t start_burst;
  uint64_t nmade; /* for the host: keys since its table of them is new */
};

/* The ages of both lines, for an order with aging. */
struct uj_order_ages {
  struct uj_agings pending;
  struct uj_agings blocked;
};

/* Without a key limit and a rate. `ages` is NULL for no aging; it must live as
 * long as the order. */
void uj_order_init(struct uj_order *order, struct uj_order_ages *ages,
                   uint64_t aging_ns, bool is_fair);

/* A key that no job has. */
void uj_group_init(struct uj_order *order, struct uj_group *key);
void uj_group_term(struct uj_group *key);
/* The key gets room for blocked jobs. */
void uj_group_set_blocked(struct uj_order *order, struct uj_group *key,
                          struct uj_lane *lane);

/* `key` is NULL for none. */
void uj_rank_init(struct uj_order *order, struct uj_rank *rank,
                  unsigned priority, struct uj_group *key, bool is_unique);

/* Whether a job of the key may get a slot, as far as its limit goes. */
static inline bool uj_order_key_is_open(const struct uj_order *order,
                                        const struct uj_group *key)
{
  return key == &order->nobody || key->nactive < order->key_limit;
}

/* A job of the key has got a slot, or has given it back. */
void uj_order_add_active(struct uj_order *order, struct uj_group *key);
void uj_order_remove_active(struct uj_order *order, struct uj_group *key);

/* Takes effect when somebody is let in the next time. */
void uj_order_set_key_limit(struct uj_order *order, uint64_t key_limit);
/* UJ_NO_RATE for none. Likewise. */
#define UJ_NO_RATE 0.0
void uj_order_set_rate(struct uj_order *order, double per_s, uint64_t burst,
                       uint64_t now_ns);

/* A job leaves the lines, and the others of its key. The time is that of
 * uj_sched_line_now(). */
void uj_order_forget(struct uj_order *order, struct uj_rank *rank,
                     uint64_t now_ns);

/* Whether the rate allows a start, and when it does. */
static inline uint64_t uj_order_due(const struct uj_order *order,
                                    uint64_t now_ns)
{
  return uj_rate_due(&order->rate, &order->bucket, order->nstarting, now_ns);
}

void uj_order_check(const struct uj_order *order);

#endif
