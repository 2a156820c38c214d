/* Schedules: sets of times, given by a pattern, a period, a single time, or by
 * other schedules.
 *
 * Times are seconds since 1970, as doubles: exact for the whole seconds of
 * patterns, and to better than a microsecond otherwise. Nothing here reads a
 * clock or waits: a schedule only says when. */
#ifndef UJ_CALENDAR_SCHEDULE_H
#define UJ_CALENDAR_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>

#include "calendar/fire.h"

/* No schedule has a time outside of 1970 to 2199, give or take an offset. */
#define UJ_SCHEDULE_END_S 7258204800.0

enum uj_schedule_kind {
  UJ_SCHEDULE_CRON,
  UJ_SCHEDULE_EVERY,
  UJ_SCHEDULE_AT,
  UJ_SCHEDULE_ANY,   /* the times of all of its parts */
  UJ_SCHEDULE_EXCEPT /* those of its first part that its second has not */
};

/* Owned by whoever made it; its parts are borrowed. */
struct uj_schedule {
  enum uj_schedule_kind kind;
  union {
    struct {
      struct uj_cron cron;
      struct uj_fire fire; /* `cron` above, and a zone that is borrowed */
    };
    struct {
      double period_s; /* greater than 0 */
      double anchor_s; /* the times are this plus n periods, n any integer */
    };
    double time_s;
    struct {
      const struct uj_schedule *const *parts;
      size_t nparts;
    };
  };
};

/* Finds the first time after another; the last one before. Returns false when
 * there is none. When schedules of kind EXCEPT have left out 10,000 times it
 * looks no further. */
bool uj_schedule_next(const struct uj_schedule *schedule, double time_s,
                      double *next_s);
bool uj_schedule_previous(const struct uj_schedule *schedule, double time_s,
                          double *previous_s);

/* Whether a time belongs to it. */
bool uj_schedule_has(const struct uj_schedule *schedule, double time_s);

#endif
