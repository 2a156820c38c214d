/* When a cron pattern fires in a zone: its local times, turned into instants.
 *
 * A pattern with fixed hours names local times. One that does not exist, in a
 * gap, and one that occurs twice, in a fold, are dealt with as the policy says.
 * An interval pattern (uj_cron::is_interval) fires at every instant whose local
 * time it matches: so it goes on by elapsed time through gaps and folds. */
#ifndef UJ_CALENDAR_FIRE_H
#define UJ_CALENDAR_FIRE_H

#include "calendar/cron.h"
#include "calendar/zone.h"

#define UJ_FIRE_NEVER INT64_MIN

/* What becomes of a local time that does not exist. */
enum uj_gap {
  UJ_GAP_RUN, /* it fires at the first instant after the gap */
  UJ_GAP_SKIP
};

/* At which of its two instants a local time fires. */
enum uj_fold { UJ_FOLD_FIRST, UJ_FOLD_SECOND, UJ_FOLD_BOTH };

/* Borrows the pattern and the zone. */
struct uj_fire {
  const struct uj_cron *cron;
  const struct uj_zone *zone;
  enum uj_gap gap;
  enum uj_fold fold;
};

/* The first instant after another at which it fires; the last one before.
 * UJ_FIRE_NEVER when there is none from 1970 to 2199. */
int64_t uj_fire_next(const struct uj_fire *fire, int64_t instant_s);
int64_t uj_fire_previous(const struct uj_fire *fire, int64_t instant_s);

#endif
