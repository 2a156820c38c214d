#include "repeat/repeat.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Times that were missed are counted one by one, except for periods. */
#define COUNT_MAX 100000

/* A late start stays this far away from the next time, in parts of the way
 * there: so it comes before that even where timers are late. */
#define JITTER_PART 0.9

void uj_repeats_init(struct uj_repeats *repeats,
                     const struct uj_repeat_host *host,
                     struct uj_random *random)
{
  repeats->host = host;
  repeats->rings = false;
  uj_agenda_init(&repeats->agenda);
  repeats->random = random;
}

void uj_repeats_set_alarm(struct uj_repeats *repeats)
{
  const struct uj_entry *first = repeats->agenda.first;
  repeats->host->set_alarm(repeats, first != NULL ? first->at_s : INFINITY);
}

static const struct uj_repeat_host *host_of(const struct uj_repeat *repeat)
{
  return repeat->repeats->host;
}

/* ---- times that wait ----------------------------------------------------- */

/* The times are a ring. When it is full and grows, those that stand before the
 * first one follow the last one. */
static bool make_room(struct uj_repeat *repeat)
{
  uint32_t room = repeat->room;
  double *waiting;
  if (repeat->nwaiting >= UJ_REPEAT_WAITING_MAX)
    return false;
  if (repeat->nwaiting < room)
    return true;
  waiting =
      realloc(repeat->waiting, (room == 0 ? 4 : room * 2) * sizeof(*waiting));
  if (waiting == NULL)
    return false;
  for (uint32_t i = 0; i < repeat->first; i++)
    waiting[room + i] = waiting[i];
  repeat->waiting = waiting;
  repeat->room = room == 0 ? 4 : room * 2;
  return true;
}

static bool push_waiting(struct uj_repeat *repeat, double time_s)
{
  if (!make_room(repeat))
    return false;
  repeat->waiting[(repeat->first + repeat->nwaiting++) % repeat->room] = time_s;
  return true;
}

static double take_waiting(struct uj_repeat *repeat)
{
  double time_s = repeat->waiting[repeat->first];
  repeat->first = (repeat->first + 1) % repeat->room;
  repeat->nwaiting--;
  return time_s;
}

static void drop_waiting(struct uj_repeat *repeat)
{
  free(repeat->waiting);
  repeat->waiting = NULL;
  repeat->first = repeat->nwaiting = repeat->room = 0;
}

/* ---- where it stands ----------------------------------------------------- */

static bool may_start(const struct uj_repeat *repeat)
{
  return repeat->running == 0 || repeat->rules.overlap == UJ_OVERLAP_ALLOW;
}

/* When it has to be looked at next. */
static double due(const struct uj_repeat *repeat)
{
  if (repeat->closed)
    return INFINITY;
  if (repeat->nwaiting > 0 && may_start(repeat))
    return -INFINITY;
  return repeat->paused ? INFINITY : repeat->start_s;
}

/* Puts it into its place in the agenda, unless it is there: to take it out
 * costs more than all else here. */
static void put_in_place(struct uj_repeat *repeat)
{
  struct uj_agenda *agenda = &repeat->repeats->agenda;
  double due_s = due(repeat);
  bool was_first = agenda->first == &repeat->entry;
  if (repeat->entry.is_in && repeat->entry.at_s == due_s)
    return;
  uj_agenda_remove(agenda, &repeat->entry);
  if (due_s != INFINITY)
    uj_agenda_add(agenda, &repeat->entry, due_s);
  if (!repeat->repeats->rings && (was_first || agenda->first == &repeat->entry))
    uj_repeats_set_alarm(repeat->repeats);
}

/* Puts it into its place, or ends it if there is no more to come. */
static void settle(struct uj_repeat *repeat)
{
  if (repeat->next_s == INFINITY && repeat->nwaiting == 0 &&
      repeat->running == 0)
    repeat->closed = true;
  put_in_place(repeat);
  if (!repeat->closed || repeat->running > 0 || repeat->over)
    return;
  repeat->over = true;
  uj_link_remove(&repeat->dependant.link);
  drop_waiting(repeat);
  host_of(repeat)->over(repeat);
}

/* The host may call back while it starts, cancels or reports: then the
 * repetition is settled by whoever called the host. */
static bool enter(struct uj_repeat *repeat)
{
  bool was_busy = repeat->busy;
  repeat->busy = true;
  return !was_busy;
}

static void leave(struct uj_repeat *repeat, bool entered)
{
  if (!entered)
    return;
  repeat->busy = false;
  if (!repeat->over)
    settle(repeat);
}

/* Sets the next time, and draws when it is to start. */
static void plan(struct uj_repeat *repeat, const struct uj_schedule *schedule,
                 double time_s)
{
  double jitter_s = repeat->rules.jitter_s, after_s;
  repeat->next_s = repeat->start_s = time_s;
  if (jitter_s == 0 || time_s == INFINITY)
    return;
  if (uj_schedule_next(schedule, time_s, &after_s))
    jitter_s = fmin(jitter_s, (after_s - time_s) * JITTER_PART);
  repeat->start_s += jitter_s * uj_random_fraction(repeat->repeats->random);
}

static void plan_after(struct uj_repeat *repeat,
                       const struct uj_schedule *schedule, double time_s)
{
  double next_s;
  if (!uj_schedule_next(schedule, time_s, &next_s))
    next_s = INFINITY;
  plan(repeat, schedule, next_s);
}

/* ---- occurrences --------------------------------------------------------- */

/* Counts a time that does not run; the first of a row is reported. */
static void drop(struct uj_repeat *repeat, enum uj_occurred why, double time_s,
                 uint64_t count)
{
  bool first = !repeat->drops;
  if (count == 0)
    return;
  if (why == UJ_OCCURRED_MISSED)
    repeat->missed += count;
  else
    repeat->skipped += count;
  repeat->drops = true;
  if (first)
    host_of(repeat)->dropped(repeat, why, time_s);
}

static enum uj_occurred start(struct uj_repeat *repeat, double time_s,
                              double now_s)
{
  enum uj_occurred how;
  if (repeat->closed)
    return UJ_OCCURRED_CLOSED;
  how = host_of(repeat)->start(repeat, time_s, fmax(now_s - time_s, 0));
  if (how == UJ_OCCURRED_STARTED) {
    repeat->running++;
    repeat->runs++;
    repeat->ran_s = time_s;
    repeat->drops = false;
  } else if (how != UJ_OCCURRED_CLOSED)
    drop(repeat, how, time_s, 1);
  return how;
}

static void start_waiting(struct uj_repeat *repeat, double now_s)
{
  while (repeat->nwaiting > 0 && may_start(repeat))
    (void)start(repeat, take_waiting(repeat), now_s);
}

static enum uj_occurred wait_for_turn(struct uj_repeat *repeat, double time_s)
{
  if (push_waiting(repeat, time_s))
    return UJ_OCCURRED_WAITS;
  drop(repeat, UJ_OCCURRED_OVERLAPS, time_s, 1);
  return UJ_OCCURRED_OVERLAPS;
}

/* The new one takes the place of what runs and of what waits. */
static enum uj_occurred replace(struct uj_repeat *repeat, double time_s)
{
  uint64_t dropped = repeat->nwaiting;
  double first_s = dropped > 0 ? repeat->waiting[repeat->first] : 0;
  drop_waiting(repeat);
  (void)push_waiting(repeat, time_s);
  host_of(repeat)->cancel(repeat);
  drop(repeat, UJ_OCCURRED_OVERLAPS, first_s, dropped);
  return UJ_OCCURRED_WAITS;
}

/* A time has come: starts an occurrence, or does what the rule for overlaps
 * says. */
static enum uj_occurred occur(struct uj_repeat *repeat, double time_s,
                              double now_s)
{
  if (may_start(repeat) && repeat->nwaiting == 0)
    return start(repeat, time_s, now_s);
  switch (repeat->rules.overlap) {
  case UJ_OVERLAP_ONE:
    if (repeat->nwaiting == 0)
      return wait_for_turn(repeat, time_s);
    break;
  case UJ_OVERLAP_ALL:
  case UJ_OVERLAP_ALLOW:
    return wait_for_turn(repeat, time_s);
  case UJ_OVERLAP_CANCEL:
    return replace(repeat, time_s);
  default:
    break;
  }
  drop(repeat, UJ_OCCURRED_OVERLAPS, time_s, 1);
  return UJ_OCCURRED_OVERLAPS;
}

/* ---- times that have passed ---------------------------------------------- */

/* How many times there are from one to another of them. */
static uint64_t count_times(const struct uj_schedule *schedule, double from_s,
                            double to_s)
{
  uint64_t count = 1;
  if (schedule->kind == UJ_SCHEDULE_EVERY)
    return (uint64_t)llround((to_s - from_s) / schedule->period_s) + 1;
  while (count < COUNT_MAX && from_s < to_s &&
         uj_schedule_next(schedule, from_s, &from_s))
    count++;
  return count;
}

/* Lets the latest of the times that have passed wait for their turn, in their
 * order, as many as the rules allow; returns how many. `in_time` says that the
 * last one is not late, so that it runs whatever the grace is. */
static uint64_t catch_up(struct uj_repeat *repeat,
                         const struct uj_schedule *schedule, double from_s,
                         double to_s, bool in_time, double now_s)
{
  uint64_t count = 0;
  double time_s = to_s, first_s = to_s;
  do {
    if (now_s - time_s > repeat->rules.misfire_grace_s &&
        !(in_time && time_s == to_s))
      break;
    first_s = time_s;
    count++;
  } while (count < repeat->rules.misfire_limit && time_s > from_s &&
           uj_schedule_previous(schedule, time_s, &time_s));
  for (uint64_t i = 0; i < count; i++) {
    if (!push_waiting(repeat, first_s))
      return i;
    (void)uj_schedule_next(schedule, first_s, &first_s);
  }
  return count;
}

/* Deals with `count` times that have passed, from `from_s` to `to_s`, the last
 * of which starts `late_s` seconds too late. */
static void misfire(struct uj_repeat *repeat,
                    const struct uj_schedule *schedule, double from_s,
                    double to_s, uint64_t count, double late_s, double now_s)
{
  const struct uj_repeat_rules *rules = &repeat->rules;
  bool in_time = late_s <= UJ_REPEAT_LATE_S, runs = in_time;
  if (rules->misfire == UJ_MISFIRE_ALL) {
    uint64_t caught = catch_up(repeat, schedule, from_s, to_s, in_time, now_s);
    drop(repeat, UJ_OCCURRED_MISSED, from_s, count - caught);
    return;
  }
  if (rules->misfire == UJ_MISFIRE_LATEST)
    runs = in_time || now_s - to_s <= rules->misfire_grace_s;
  drop(repeat, UJ_OCCURRED_MISSED, from_s, runs ? count - 1 : count);
  if (runs)
    (void)occur(repeat, to_s, now_s);
}

/* Returns the latest time that has come by now, which is `repeat->next_s` or a
 * later one, and plans the time after it. When the latest one still has to wait
 * for its jitter, that one is planned, and the one before it is returned. */
static double pass(struct uj_repeat *repeat, const struct uj_schedule *schedule,
                   double now_s)
{
  double first_s = repeat->next_s, to_s;
  if (!uj_schedule_previous(schedule, nextafter(now_s, INFINITY), &to_s) ||
      to_s < first_s)
    to_s = first_s;
  if (to_s > first_s) {
    plan(repeat, schedule, to_s);
    if (repeat->start_s > now_s) {
      (void)uj_schedule_previous(schedule, to_s, &to_s);
      return fmax(to_s, first_s);
    }
  }
  plan_after(repeat, schedule, to_s);
  return to_s;
}

/* Called when `start_s` has come. If the rules of the zone have changed since
 * that was planned, the time may not have come after all (R15). */
static void fire(struct uj_repeat *repeat, double now_s)
{
  const struct uj_schedule *schedule = host_of(repeat)->schedule(repeat);
  double start_s = repeat->start_s, from_s, to_s;
  uint64_t count;
  if (!uj_schedule_has(schedule, repeat->next_s)) {
    plan_after(repeat, schedule, repeat->last_s);
    start_s = repeat->start_s;
  }
  if (start_s > now_s)
    return;
  from_s = repeat->next_s;
  to_s = pass(repeat, schedule, now_s);
  repeat->last_s = to_s;
  count = count_times(schedule, from_s, to_s);
  if (count > 1)
    start_s = to_s;
  if (count == 1 && now_s - start_s <= UJ_REPEAT_LATE_S)
    (void)occur(repeat, to_s, now_s);
  else
    misfire(repeat, schedule, from_s, to_s, count, now_s - start_s, now_s);
}

void uj_repeats_ring(struct uj_repeats *repeats)
{
  double now_s = repeats->host->date(repeats);
  struct uj_entry *first;
  repeats->rings = true;
  while ((first = repeats->agenda.first) != NULL && first->at_s <= now_s) {
    struct uj_repeat *repeat = uj_container(first, struct uj_repeat, entry);
    bool entered = enter(repeat);
    assert(entered);
    if (!repeat->paused && repeat->start_s <= now_s)
      fire(repeat, now_s);
    start_waiting(repeat, now_s);
    leave(repeat, entered);
  }
  repeats->rings = false;
  uj_repeats_set_alarm(repeats);
}

/* ---- its life ------------------------------------------------------------ */

static void dismiss(struct uj_dependant *dependant)
{
  uj_repeat_close(uj_container(dependant, struct uj_repeat, dependant));
}

void uj_repeat_start(struct uj_repeat *repeat, struct uj_repeats *repeats,
                     struct uj_sched *sched,
                     const struct uj_repeat_rules *rules, double since_s)
{
  *repeat = (struct uj_repeat){.repeats = repeats,
                               .rules = *rules,
                               .last_s = since_s,
                               .ran_s = -INFINITY};
  uj_entry_init(&repeats->agenda, &repeat->entry);
  repeat->dependant.dismiss = dismiss;
  uj_link_append(&sched->dependants, &repeat->dependant.link);
  plan_after(repeat, host_of(repeat)->schedule(repeat), since_s);
  settle(repeat);
}

void uj_repeat_term(struct uj_repeat *repeat)
{
  uj_agenda_remove(&repeat->repeats->agenda, &repeat->entry);
  uj_link_remove(&repeat->dependant.link);
  drop_waiting(repeat);
}

enum uj_occurred uj_repeat_trigger(struct uj_repeat *repeat)
{
  bool entered;
  enum uj_occurred how;
  if (repeat->closed)
    return UJ_OCCURRED_CLOSED;
  entered = enter(repeat);
  how = occur(repeat, repeat->repeats->host->date(repeat->repeats),
              repeat->repeats->host->date(repeat->repeats));
  leave(repeat, entered);
  return how;
}

void uj_repeat_pause(struct uj_repeat *repeat)
{
  bool entered;
  if (repeat->closed || repeat->paused)
    return;
  entered = enter(repeat);
  repeat->paused = true;
  drop_waiting(repeat);
  leave(repeat, entered);
}

void uj_repeat_resume(struct uj_repeat *repeat)
{
  double now_s;
  bool entered;
  if (repeat->closed || !repeat->paused)
    return;
  entered = enter(repeat);
  now_s = repeat->repeats->host->date(repeat->repeats);
  repeat->paused = false;
  if (now_s > repeat->last_s)
    repeat->last_s = now_s;
  plan_after(repeat, host_of(repeat)->schedule(repeat), repeat->last_s);
  leave(repeat, entered);
}

void uj_repeat_close(struct uj_repeat *repeat)
{
  bool entered;
  if (repeat->closed)
    return;
  entered = enter(repeat);
  repeat->closed = true;
  uj_link_remove(&repeat->dependant.link);
  drop_waiting(repeat);
  leave(repeat, entered);
}

void uj_repeat_ended(struct uj_repeat *repeat, bool failed)
{
  bool entered = enter(repeat);
  assert(repeat->running > 0);
  repeat->running--;
  if (failed && repeat->rules.pauses_on_error)
    uj_repeat_pause(repeat);
  leave(repeat, entered);
}
