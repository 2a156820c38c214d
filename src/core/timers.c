#include "core/timers.h"

#include <assert.h>

#define DIGIT_BITS 6
#define DIGIT_MASK (UJ_TIMERS_SLOTS - 1)
#define CROWD 64 /* a slot with more timers is not searched */

static unsigned digit_of(uint64_t time_ns, unsigned level)
{
  return (unsigned)(time_ns >> (level * DIGIT_BITS)) & DIGIT_MASK;
}

static unsigned level_of(uint64_t due_ns, uint64_t last_ns)
{
  uint64_t differs = due_ns ^ last_ns;
  if (differs == 0)
    return 0;
  return (63U - (unsigned)__builtin_clzll(differs)) / DIGIT_BITS;
}

void uj_timers_init(struct uj_timers *timers, uint64_t now_ns)
{
  timers->last_ns = now_ns;
  timers->min_ns = UJ_NEVER;
  timers->count = 0;
  for (unsigned level = 0; level < UJ_TIMERS_LEVELS; level++) {
    timers->used[level] = 0;
    for (unsigned slot = 0; slot < UJ_TIMERS_SLOTS; slot++)
      uj_link_init(&timers->slots[level][slot]);
  }
}

void uj_timer_init(struct uj_timer *timer)
{
  uj_link_init(&timer->link);
  timer->due_ns = UJ_NEVER;
}

static void place(struct uj_timers *timers, struct uj_timer *timer)
{
  unsigned level = level_of(timer->due_ns, timers->last_ns);
  unsigned slot = digit_of(timer->due_ns, level);
  uj_link_append(&timers->slots[level][slot], &timer->link);
  timers->used[level] |= UINT64_C(1) << slot;
}

void uj_timers_add(struct uj_timers *timers, struct uj_timer *timer,
                   uint64_t due_ns)
{
  assert(!uj_timer_armed(timer));
  timer->due_ns = due_ns < timers->last_ns ? timers->last_ns : due_ns;
  timers->min_ns = uj_clock_min(timers->min_ns, timer->due_ns);
  timers->count++;
  place(timers, timer);
}

/* Finds the earliest slot that holds a timer, and clears the bits of slots that
 * removals have left empty. Returns false when there is none. */
static bool first_slot(struct uj_timers *timers, unsigned *level,
                       unsigned *slot)
{
  for (unsigned l = 0; l < UJ_TIMERS_LEVELS; l++) {
    while (timers->used[l] != 0) {
      unsigned s = (unsigned)__builtin_ctzll(timers->used[l]);
      if (!uj_link_empty(&timers->slots[l][s])) {
        *level = l;
        *slot = s;
        return true;
      }
      timers->used[l] &= timers->used[l] - 1;
    }
  }
  return false;
}

/* The first nanosecond of a slot: the digits of last_ns above its level, then
 * the slot's own digit, then zeros. */
static uint64_t slot_start(const struct uj_timers *timers, unsigned level,
                           unsigned slot)
{
  unsigned shift = level * DIGIT_BITS;
  uint64_t above = timers->last_ns >> shift & ~(uint64_t)DIGIT_MASK;
  return (above | slot) << shift;
}

/* Distributes a slot that time has reached over the levels below it. */
static void cascade(struct uj_timers *timers, unsigned level, unsigned slot)
{
  struct uj_link reached;
  uj_link_init(&reached);
  timers->last_ns = slot_start(timers, level, slot);
  uj_link_splice(&reached, &timers->slots[level][slot]);
  timers->used[level] &= ~(UINT64_C(1) << slot);
  for (struct uj_link *link = reached.next, *next; link != &reached;
       link = next) {
    next = link->next;
    place(timers, uj_container(link, struct uj_timer, link));
  }
}

static struct uj_timer *take_first(struct uj_timers *timers,
                                   struct uj_link *list)
{
  struct uj_timer *timer = uj_container(list->next, struct uj_timer, link);
  timers->count--;
  uj_link_remove(&timer->link);
  return timer;
}

struct uj_timer *uj_timers_pop(struct uj_timers *timers, uint64_t now_ns)
{
  unsigned level, slot;
  if (now_ns < timers->min_ns)
    return NULL;
  timers->min_ns = 0;
  while (first_slot(timers, &level, &slot)) {
    struct uj_link *list = &timers->slots[level][slot];
    if (slot_start(timers, level, slot) > now_ns)
      return NULL;
    if (level == 0)
      return take_first(timers, list);
    if (list->next == list->prev) { /* a single timer needs no sorting */
      struct uj_timer *timer = uj_container(list->next, struct uj_timer, link);
      return timer->due_ns > now_ns ? NULL : take_first(timers, list);
    }
    cascade(timers, level, slot);
  }
  timers->min_ns = UJ_NEVER;
  return NULL;
}

/* The earliest due time in a slot. For a crowded slot it is the start of the
 * slot: that costs one more wake-up on each level, but no walk over the crowd.
 */
static uint64_t slot_min(const struct uj_timers *timers, unsigned level,
                         unsigned slot)
{
  const struct uj_link *list = &timers->slots[level][slot];
  uint64_t min_ns = UJ_NEVER;
  unsigned seen = 0;
  for (struct uj_link *link = list->next; link != list; link = link->next) {
    if (++seen > CROWD)
      return slot_start(timers, level, slot);
    min_ns =
        uj_clock_min(min_ns, uj_container(link, struct uj_timer, link)->due_ns);
  }
  return min_ns;
}

uint64_t uj_timers_due(struct uj_timers *timers)
{
  unsigned level, slot;
  if (timers->min_ns == 0)
    timers->min_ns = first_slot(timers, &level, &slot)
                         ? slot_min(timers, level, slot)
                         : UJ_NEVER;
  return timers->min_ns;
}

uint64_t uj_timers_bound(struct uj_timers *timers)
{
  unsigned level, slot;
  if (timers->min_ns != 0)
    return timers->min_ns;
  return first_slot(timers, &level, &slot) ? slot_start(timers, level, slot)
                                           : UJ_NEVER;
}

static bool all_of_level(const struct uj_timers *timers, unsigned level,
                         bool (*is_such)(struct uj_timer *timer))
{
  for (uint64_t used = timers->used[level]; used != 0; used &= used - 1) {
    unsigned slot = (unsigned)__builtin_ctzll(used);
    const struct uj_link *list = &timers->slots[level][slot];
    for (struct uj_link *link = list->next; link != list; link = link->next)
      if (!is_such(uj_container(link, struct uj_timer, link)))
        return false;
  }
  return true;
}

bool uj_timers_all(const struct uj_timers *timers,
                   bool (*is_such)(struct uj_timer *timer))
{
  for (unsigned level = 0; level < UJ_TIMERS_LEVELS; level++)
    if (!all_of_level(timers, level, is_such))
      return false;
  return true;
}

/* Checks one slot, and returns how many timers it holds. */
static uint64_t check_slot(const struct uj_timers *timers, unsigned level,
                           unsigned slot)
{
  const struct uj_link *list = &timers->slots[level][slot];
  uint64_t count = 0;
  for (struct uj_link *link = list->next; link != list; link = link->next) {
    struct uj_timer *timer = uj_container(link, struct uj_timer, link);
    assert(link->next->prev == link);
    assert(timer->due_ns >= timers->min_ns);
    assert(level_of(timer->due_ns, timers->last_ns) == level);
    assert(digit_of(timer->due_ns, level) == slot);
    (void)timer;
    count++;
  }
  return count;
}

uint64_t uj_timers_check(const struct uj_timers *timers)
{
  uint64_t count = 0;
  for (unsigned level = 0; level < UJ_TIMERS_LEVELS; level++) {
    for (uint64_t used = timers->used[level]; used != 0; used &= used - 1)
      count += check_slot(timers, level, (unsigned)__builtin_ctzll(used));
  }
  assert(count == timers->count);
  return count;
}
