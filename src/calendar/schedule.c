#include "calendar/schedule.h"

#include <math.h>

enum { MAX_LEFT_OUT = 10000 };

/* How many times may still be left out. It is one number for a search, however
 * many schedules are within each other: otherwise each of them would multiply
 * it. */
struct patience {
  int left;
};

/* Either of the two searches. */
typedef bool search_fn(const struct uj_schedule *schedule, double time_s,
                       double *found_s, struct patience *patience);

static bool is_in_range(double time_s)
{
  return time_s >= -(double)UJ_OFFSET_MAX_S && time_s < UJ_SCHEDULE_END_S;
}

/* Keeps conversions to integers defined. */
static double clamp(double time_s)
{
  return fmin(fmax(time_s, -1e10), 1e10);
}

/* ---- each kind -------------------------------------------------------------
 */

static bool found_instant(int64_t instant_s, double *found_s)
{
  *found_s = (double)instant_s;
  return instant_s != UJ_FIRE_NEVER;
}

static bool every_next(const struct uj_schedule *schedule, double time_s,
                       double *next_s)
{
  double n = floor((time_s - schedule->anchor_s) / schedule->period_s);
  do { /* the division rounds: so the first one may not be after it */
    *next_s = schedule->anchor_s + n * schedule->period_s;
    n++;
  } while (*next_s <= time_s);
  return is_in_range(*next_s);
}

static bool every_previous(const struct uj_schedule *schedule, double time_s,
                           double *previous_s)
{
  double n = ceil((time_s - schedule->anchor_s) / schedule->period_s);
  do {
    *previous_s = schedule->anchor_s + n * schedule->period_s;
    n--;
  } while (*previous_s >= time_s);
  return is_in_range(*previous_s);
}

/* The nearest of what the parts find. */
static bool any(const struct uj_schedule *schedule, double time_s,
                double *found_s, struct patience *patience, search_fn *search,
                bool is_next)
{
  bool found = false;
  for (size_t i = 0; i < schedule->nparts; i++) {
    double of_part_s;
    if (search(schedule->parts[i], time_s, &of_part_s, patience) &&
        (!found || (is_next ? of_part_s < *found_s : of_part_s > *found_s))) {
      *found_s = of_part_s;
      found = true;
    }
  }
  return found;
}

static bool except(const struct uj_schedule *schedule, double time_s,
                   double *found_s, struct patience *patience,
                   search_fn *search)
{
  while (search(schedule->parts[0], time_s, found_s, patience)) {
    if (!uj_schedule_has(schedule->parts[1], *found_s))
      return true;
    if (--patience->left < 0)
      return false;
    time_s = *found_s;
  }
  return false;
}

/* ---- all kinds -------------------------------------------------------------
 */

static bool search_next(const struct uj_schedule *schedule, double time_s,
                        double *next_s, struct patience *patience)
{
  switch (schedule->kind) {
  case UJ_SCHEDULE_CRON:
    return found_instant(uj_fire_next(&schedule->fire, (int64_t)floor(time_s)),
                         next_s);
  case UJ_SCHEDULE_EVERY:
    return every_next(schedule, time_s, next_s);
  case UJ_SCHEDULE_AT:
    *next_s = schedule->time_s;
    return *next_s > time_s;
  case UJ_SCHEDULE_ANY:
    return any(schedule, time_s, next_s, patience, search_next, true);
  default:
    return except(schedule, time_s, next_s, patience, search_next);
  }
}

static bool search_previous(const struct uj_schedule *schedule, double time_s,
                            double *previous_s, struct patience *patience)
{
  switch (schedule->kind) {
  case UJ_SCHEDULE_CRON:
    return found_instant(
        uj_fire_previous(&schedule->fire, (int64_t)ceil(time_s)), previous_s);
  case UJ_SCHEDULE_EVERY:
    return every_previous(schedule, time_s, previous_s);
  case UJ_SCHEDULE_AT:
    *previous_s = schedule->time_s;
    return *previous_s < time_s;
  case UJ_SCHEDULE_ANY:
    return any(schedule, time_s, previous_s, patience, search_previous, false);
  default:
    return except(schedule, time_s, previous_s, patience, search_previous);
  }
}

bool uj_schedule_next(const struct uj_schedule *schedule, double time_s,
                      double *next_s)
{
  struct patience patience = {MAX_LEFT_OUT};
  return search_next(schedule, clamp(time_s), next_s, &patience);
}

bool uj_schedule_previous(const struct uj_schedule *schedule, double time_s,
                          double *previous_s)
{
  struct patience patience = {MAX_LEFT_OUT};
  return search_previous(schedule, clamp(time_s), previous_s, &patience);
}

static bool any_has(const struct uj_schedule *schedule, double time_s)
{
  for (size_t i = 0; i < schedule->nparts; i++) {
    if (uj_schedule_has(schedule->parts[i], time_s))
      return true;
  }
  return false;
}

bool uj_schedule_has(const struct uj_schedule *schedule, double time_s)
{
  double found_s;
  switch (schedule->kind) {
  case UJ_SCHEDULE_ANY:
    return any_has(schedule, time_s);
  case UJ_SCHEDULE_EXCEPT:
    return uj_schedule_has(schedule->parts[0], time_s) &&
           !uj_schedule_has(schedule->parts[1], time_s);
  default:
    return uj_schedule_next(schedule, nextafter(time_s, -INFINITY), &found_s) &&
           found_s == time_s;
  }
}
