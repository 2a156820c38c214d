/* All deadlines of one loop, in a hierarchical timing wheel.
 *
 * Times are numbers of 11 digits in base 64. A timer lies on the level of the
 * highest digit in which its due time differs from `last_ns`, in the slot that
 * this digit names. So:
 *   - every timer of a level is due before every timer of a higher level;
 *   - a slot of level 0 holds one exact nanosecond;
 *   - adding and removing are O(1), and a timer moves down at most 10 times.
 * Timers with the same due time fire in the order in which they were added:
 * slots are lists that are appended to, and a slot is emptied to lower levels,
 * in order, before anything can be added there directly.
 *
 * After G. Varghese, A. Lauck: Hashed and Hierarchical Timing Wheels (1987),
 * scheme 7, with bitmaps of the used slots instead of ticks. */
#ifndef UJ_CORE_TIMERS_H
#define UJ_CORE_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/link.h"

#define UJ_TIMERS_LEVELS 11
#define UJ_TIMERS_SLOTS 64

/* Owned by whoever arms it; in one slot while armed, self-linked otherwise. */
struct uj_timer {
  struct uj_link link;
  uint64_t due_ns;
};

struct uj_timers {
  uint64_t last_ns; /* the time that the levels are relative to */
  uint64_t min_ns;  /* no timer is due earlier; 0 if it is not known */
  uint64_t count;   /* of the timers that are armed */
  uint64_t used[UJ_TIMERS_LEVELS]; /* one bit for each slot that may hold any */
  struct uj_link slots[UJ_TIMERS_LEVELS][UJ_TIMERS_SLOTS];
};

void uj_timers_init(struct uj_timers *timers, uint64_t now_ns);

void uj_timer_init(struct uj_timer *timer);

static inline bool uj_timer_armed(const struct uj_timer *timer)
{
  return !uj_link_empty(&timer->link);
}

/* Arms a timer that is not armed. A time that has passed counts as now. */
void uj_timers_add(struct uj_timers *timers, struct uj_timer *timer,
                   uint64_t due_ns);
/* Disarms a timer, armed or not. */
static inline void uj_timers_remove(struct uj_timers *timers,
                                    struct uj_timer *timer)
{
  if (!uj_timer_armed(timer))
    return;
  if (timer->due_ns == timers->min_ns)
    timers->min_ns = 0;
  timers->count--;
  uj_link_remove(&timer->link);
}

/* Disarms and returns the next timer that is due at `now_ns`; NULL when none is
 * left. Timers may be added and removed between two calls. */
struct uj_timer *uj_timers_pop(struct uj_timers *timers, uint64_t now_ns);

/* When to call uj_timers_pop() again: never later than the next due time,
 * UJ_NEVER if there is none. It can be earlier, a few times, when very many
 * timers share the slot of the next one. */
uint64_t uj_timers_due(struct uj_timers *timers);

/* A time before which no timer is due. It costs less than uj_timers_due() and
 * can be earlier. */
uint64_t uj_timers_bound(struct uj_timers *timers);

/* Whether is_such() holds for every timer that is armed. */
bool uj_timers_all(const struct uj_timers *timers,
                   bool (*is_such)(struct uj_timer *timer));

/* Asserts the invariants; walks over all timers and returns their number. */
uint64_t uj_timers_check(const struct uj_timers *timers);

#endif
