/* A line in which waiters wait, by urgency: who of them comes first.
 *
 * A waiter has a priority, 0 the most urgent, and belongs to a lane: the
 * waiters that have the same key. Its level is its priority; in a line with
 * aging it gets one level more urgent each time that it has waited for so long.
 * First comes who has the most urgent level. Within a level it is
 *   - who came first;
 *   - in a fair line, the lane whose turn is the longest ago, so that with k
 *     lanes in a level each is served once in any k times that the level is;
 *     within the lane it is who came first.
 * A lane can be shut: then its waiters wait, and others come before them.
 *
 * Adding, removing and finding the first are O(log n) with n lanes. To age
 * costs O(log n) for each level that a waiter gains. The line owns nothing;
 * waiters and lanes are their owners'. */
#ifndef UJ_CORE_LINEUP_H
#define UJ_CORE_LINEUP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/link.h"
#include "core/pqueue.h"

enum { UJ_LEVELS = 10, UJ_LEVEL_DEFAULT = 5 };

/* One that waits. It is in a line while `lane` is not NULL. */
struct uj_waiter {
  struct uj_lane *lane;
  struct uj_link link;  /* in uj_lane::waiting, of its priority */
  struct uj_link aging; /* in uj_agings::lists, in a line with aging */
  uint64_t number;      /* in the order of coming */
  uint64_t since_ns;    /* when it came; only in a line with aging */
  uint8_t priority;
  uint8_t level; /* at most `priority` */
};

/* Those with the same key. Of those with the same priority the first has the
 * most urgent level, so that the first of ten lists are all that can come
 * next. */
struct uj_lane {
  struct uj_link waiting[UJ_LEVELS]; /* of uj_waiter::link, by priority */
  uint64_t turns[UJ_LEVELS];         /* in a fair line: when the lane was last
                                        served on that level, or came to it */
  uint32_t counts[UJ_LEVELS];        /* waiters, by level */
  struct uj_pnode node;              /* in uj_lineup::open or ::shut */
  struct uj_waiter *first;           /* who comes first; NULL for nobody */
  uint8_t level;                     /* of `first` */
  bool is_shut;
};

/* Waiters by priority and level, in the order of coming: those that are not on
 * the most urgent level, which cannot age any more. */
struct uj_agings {
  struct uj_link lists[UJ_LEVELS * (UJ_LEVELS - 1) / 2];
};

struct uj_lineup {
  struct uj_pqueue open[UJ_LEVELS]; /* of uj_lane::node, by the lane's level */
  struct uj_pqueue shut[UJ_LEVELS]; /* the same, of lanes that are shut */
  struct uj_agings *ages;           /* borrowed; NULL without aging */
  uint64_t aging_ns;                /* more than 0 */
  uint64_t next_ns;                 /* nobody ages before */
  uint64_t last_number;             /* of uj_waiter::number */
  uint64_t last_turn;               /* of uj_lane::turns */
  uint64_t count;
  bool is_fair;
};

/* `ages` is NULL for a line without aging. */
void uj_lineup_init(struct uj_lineup *line, struct uj_agings *ages,
                    uint64_t aging_ns, bool is_fair);
void uj_lane_init(struct uj_lane *lane);

static inline void uj_waiter_init(struct uj_waiter *waiter, unsigned priority)
{
  waiter->lane = NULL;
  waiter->priority = (uint8_t)priority;
}

/* Puts a waiter into the line, as the last that has come. With aging the time
 * must not be before that of an earlier call. */
void uj_lineup_put(struct uj_lineup *line, struct uj_lane *lane,
                   struct uj_waiter *waiter, uint64_t now_ns);

/* Takes a waiter out that leaves without having been served; one that is in no
 * line stays so. Before, everybody ages up to now: a lane that has come to a
 * level has its turn there from then on, though who brought it there leaves. */
void uj_lineup_remove(struct uj_lineup *line, struct uj_waiter *waiter,
                      uint64_t now_ns);
/* Takes a waiter out that has been served: its lane has had its turn. */
void uj_lineup_serve(struct uj_lineup *line, struct uj_waiter *waiter);

/* Lets everybody age up to now. */
void uj_lineup_age(struct uj_lineup *line, uint64_t now_ns);

/* Who comes first of the lanes that are open, or of all; NULL for nobody. */
struct uj_waiter *uj_lineup_first_open(const struct uj_lineup *line);
struct uj_waiter *uj_lineup_first(const struct uj_lineup *line);

/* Shuts or opens a lane, whether it is in the line or not. */
void uj_lineup_shut(struct uj_lineup *line, struct uj_lane *lane, bool is_shut);

/* Asserts the invariants. */
void uj_lineup_check(const struct uj_lineup *line);

#endif
