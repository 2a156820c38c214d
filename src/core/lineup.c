#include "core/lineup.h"

#include <assert.h>

#include "core/clock.h"

void uj_lineup_init(struct uj_lineup *line, struct uj_agings *ages,
                    uint64_t aging_ns, bool is_fair)
{
  *line = (struct uj_lineup){.ages = ages,
                             .aging_ns = aging_ns,
                             .next_ns = UJ_NEVER,
                             .is_fair = is_fair};
  if (ages == NULL)
    return;
  assert(aging_ns > 0);
  for (unsigned i = 0; i < sizeof(ages->lists) / sizeof(ages->lists[0]); i++)
    uj_link_init(&ages->lists[i]);
}

void uj_lane_init(struct uj_lane *lane)
{
  for (unsigned i = 0; i < UJ_LEVELS; i++) {
    uj_link_init(&lane->waiting[i]);
    lane->turns[i] = 0;
    lane->counts[i] = 0;
  }
  lane->first = NULL;
  lane->level = 0;
  lane->is_shut = false;
}

static struct uj_waiter *first_of(const struct uj_link *list)
{
  return uj_container(list->next, struct uj_waiter, link);
}

/* ---- where a lane stands ------------------------------------------------- */

static struct uj_waiter *find_first(const struct uj_lane *lane)
{
  struct uj_waiter *first = NULL;
  for (unsigned i = 0; i < UJ_LEVELS; i++) {
    struct uj_waiter *waiter;
    if (uj_link_empty(&lane->waiting[i]))
      continue;
    waiter = first_of(&lane->waiting[i]);
    if (first == NULL || waiter->level < first->level ||
        (waiter->level == first->level && waiter->number < first->number))
      first = waiter;
  }
  return first;
}

static struct uj_pqueue *queue_of(struct uj_lineup *line,
                                  const struct uj_lane *lane)
{
  return &(lane->is_shut ? line->shut : line->open)[lane->level];
}

/* Takes the lane off while something about it changes. */
static void lift(struct uj_lineup *line, struct uj_lane *lane)
{
  if (lane->first != NULL)
    uj_pqueue_remove(queue_of(line, lane), &lane->node);
  lane->first = NULL;
}

static void settle(struct uj_lineup *line, struct uj_lane *lane)
{
  lane->first = find_first(lane);
  if (lane->first == NULL)
    return;
  lane->level = lane->first->level;
  uj_pqueue_add(queue_of(line, lane), &lane->node,
                line->is_fair ? lane->turns[lane->level] : lane->first->number);
}

void uj_lineup_shut(struct uj_lineup *line, struct uj_lane *lane, bool is_shut)
{
  if (lane->is_shut == is_shut)
    return;
  lift(line, lane);
  lane->is_shut = is_shut;
  settle(line, lane);
}

/* A lane that comes to a level is the last one there. */
static void enter_level(struct uj_lineup *line, struct uj_lane *lane,
                        unsigned level)
{
  if (lane->counts[level]++ == 0)
    lane->turns[level] = ++line->last_turn;
}

/* ---- aging --------------------------------------------------------------- */

static struct uj_link *ages_of(struct uj_lineup *line, unsigned priority,
                               unsigned level)
{
  return &line->ages->lists[priority * (priority - 1) / 2 + level - 1];
}

static uint64_t ages_at(const struct uj_lineup *line,
                        const struct uj_waiter *waiter)
{
  uint64_t levels = waiter->priority - waiter->level + 1U;
  if (line->aging_ns > UJ_NEVER / UJ_LEVELS)
    return UJ_NEVER;
  return uj_clock_add(waiter->since_ns, levels * line->aging_ns);
}

/* Notes when a waiter that has come to its level ages again. Of those of its
 * priority it is the last to have come there, since they came before it. */
static void note_age(struct uj_lineup *line, struct uj_waiter *waiter)
{
  if (waiter->level == 0)
    return;
  uj_link_append(ages_of(line, waiter->priority, waiter->level),
                 &waiter->aging);
  line->next_ns = uj_clock_min(line->next_ns, ages_at(line, waiter));
}

/* Who ages next; NULL for nobody. */
static struct uj_waiter *next_to_age(const struct uj_lineup *line)
{
  const size_t count = sizeof(line->ages->lists) / sizeof(line->ages->lists[0]);
  struct uj_waiter *next = NULL;
  for (size_t i = 0; i < count; i++) {
    const struct uj_link *list = &line->ages->lists[i];
    struct uj_waiter *waiter =
        uj_container(list->next, struct uj_waiter, aging);
    if (uj_link_empty(list))
      continue;
    if (next == NULL || ages_at(line, waiter) < ages_at(line, next) ||
        (ages_at(line, waiter) == ages_at(line, next) &&
         waiter->number < next->number))
      next = waiter;
  }
  return next;
}

static void grow_older(struct uj_lineup *line, struct uj_waiter *waiter)
{
  struct uj_lane *lane = waiter->lane;
  lift(line, lane);
  uj_link_remove(&waiter->aging);
  lane->counts[waiter->level]--;
  waiter->level--;
  enter_level(line, lane, waiter->level);
  note_age(line, waiter);
  settle(line, lane);
}

/* In the order in which it happens, which is that of the turns. */
void uj_lineup_age(struct uj_lineup *line, uint64_t now_ns)
{
  struct uj_waiter *next;
  while (line->next_ns <= now_ns && line->next_ns != UJ_NEVER) {
    next = next_to_age(line);
    line->next_ns = next == NULL ? UJ_NEVER : ages_at(line, next);
    if (line->next_ns <= now_ns && next != NULL)
      grow_older(line, next);
  }
}

/* ---- coming and going ---------------------------------------------------- */

void uj_lineup_put(struct uj_lineup *line, struct uj_lane *lane,
                   struct uj_waiter *waiter, uint64_t now_ns)
{
  assert(waiter->lane == NULL && waiter->priority < UJ_LEVELS);
  uj_lineup_age(line, now_ns);
  lift(line, lane);
  waiter->lane = lane;
  waiter->number = ++line->last_number;
  waiter->since_ns = now_ns;
  waiter->level = waiter->priority;
  uj_link_append(&lane->waiting[waiter->priority], &waiter->link);
  uj_link_init(&waiter->aging);
  if (line->ages != NULL)
    note_age(line, waiter);
  enter_level(line, lane, waiter->level);
  line->count++;
  settle(line, lane);
}

static void take_out(struct uj_lineup *line, struct uj_waiter *waiter,
                     bool served)
{
  struct uj_lane *lane = waiter->lane;
  lift(line, lane);
  uj_link_remove(&waiter->link);
  uj_link_remove(&waiter->aging);
  waiter->lane = NULL;
  lane->counts[waiter->level]--;
  if (served)
    lane->turns[waiter->level] = ++line->last_turn;
  line->count--;
  settle(line, lane);
}

void uj_lineup_remove(struct uj_lineup *line, struct uj_waiter *waiter,
                      uint64_t now_ns)
{
  if (waiter->lane == NULL)
    return;
  uj_lineup_age(line, now_ns);
  take_out(line, waiter, false);
}

void uj_lineup_serve(struct uj_lineup *line, struct uj_waiter *waiter)
{
  take_out(line, waiter, true);
}

static struct uj_lane *lane_of(struct uj_pnode *node)
{
  return uj_container(node, struct uj_lane, node);
}

struct uj_waiter *uj_lineup_first_open(const struct uj_lineup *line)
{
  for (unsigned level = 0; level < UJ_LEVELS; level++)
    if (line->open[level].first != NULL)
      return lane_of(line->open[level].first)->first;
  return NULL;
}

struct uj_waiter *uj_lineup_first(const struct uj_lineup *line)
{
  for (unsigned level = 0; level < UJ_LEVELS; level++) {
    struct uj_pnode *open = line->open[level].first;
    struct uj_pnode *shut = line->shut[level].first;
    if (open != NULL && (shut == NULL || open->value < shut->value))
      return lane_of(open)->first;
    if (shut != NULL)
      return lane_of(shut)->first;
  }
  return NULL;
}

/* ---- checking ------------------------------------------------------------ */

void uj_lineup_check(const struct uj_lineup *line)
{
  for (unsigned level = 0; level < UJ_LEVELS; level++) {
    uj_pqueue_check(&line->open[level]);
    uj_pqueue_check(&line->shut[level]);
  }
  assert((line->count == 0) == (uj_lineup_first(line) == NULL));
}
