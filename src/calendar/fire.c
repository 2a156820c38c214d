#include "calendar/fire.h"

/* Two instants at which a zone shows the same local time are at most this far
 * apart, because each is at most the largest offset away from it. */
#define APART_S (2 * UJ_OFFSET_MAX_S)

/* All local times of the years that patterns know lie between these two
 * instants, in whatever zone. */
#define FIRST_S (-UJ_OFFSET_MAX_S - 1)
#define LAST_S (INT64_C(84006) * 86400 + UJ_OFFSET_MAX_S)

/* ---- interval patterns ------------------------------------------------------
 *
 * The search goes from span to span of the zone. It remembers a range of local
 * times, from `seen` to `match`, in which only the last one matches. When a
 * span begins within that range, the pattern need not be searched again. */

static int64_t interval_next(const struct uj_fire *fire, int64_t instant_s)
{
  struct uj_span span = uj_zone_span(fire->zone, instant_s + 1);
  int64_t seen_s = instant_s + 1 + span.offset_s;
  int64_t match_s = uj_cron_at_or_after(fire->cron, seen_s);
  while (match_s != UJ_CRON_NEVER) {
    int64_t begin_s;
    if (match_s - span.offset_s < span.end_s)
      return match_s - span.offset_s;
    if (span.end_s == UJ_INSTANT_MAX)
      break;
    if (span.end_s > instant_s + APART_S &&
        match_s - UJ_OFFSET_MAX_S > span.end_s)
      span = uj_zone_span(fire->zone, match_s - UJ_OFFSET_MAX_S);
    else
      span = uj_zone_span(fire->zone, span.end_s);
    begin_s = span.begin_s + span.offset_s;
    if (begin_s < seen_s || begin_s > match_s) {
      seen_s = begin_s;
      match_s = uj_cron_at_or_after(fire->cron, seen_s);
    }
  }
  return UJ_FIRE_NEVER;
}

static int64_t interval_previous(const struct uj_fire *fire, int64_t instant_s)
{
  struct uj_span span = uj_zone_span(fire->zone, instant_s - 1);
  int64_t seen_s = instant_s - 1 + span.offset_s;
  int64_t match_s = uj_cron_at_or_before(fire->cron, seen_s);
  while (match_s != UJ_CRON_NEVER) {
    int64_t last_s;
    if (match_s - span.offset_s >= span.begin_s)
      return match_s - span.offset_s;
    if (span.begin_s == UJ_INSTANT_MIN)
      break;
    if (span.begin_s < instant_s - APART_S &&
        match_s + UJ_OFFSET_MAX_S < span.begin_s)
      span = uj_zone_span(fire->zone, match_s + UJ_OFFSET_MAX_S);
    else
      span = uj_zone_span(fire->zone, span.begin_s - 1);
    last_s = span.end_s - 1 + span.offset_s;
    if (last_s > seen_s || last_s < match_s) {
      seen_s = last_s;
      match_s = uj_cron_at_or_before(fire->cron, seen_s);
    }
  }
  return UJ_FIRE_NEVER;
}

/* ---- fixed times ------------------------------------------------------------
 *
 * With one instant for each local time, later local times never fire earlier.
 * So it suffices to know from which local time on they fire after an instant:
 * its own, unless it lies in a fold. Both instants of a fold are two such
 * sequences, of which the nearer one counts.
 *
 * This holds as long as no two changes of a zone are nearer to each other than
 * their jumps are long. No real zone has such changes; in a zone that had, a
 * time could be left out, but nothing worse would happen. */

/* The instant at which a local time fires, or UJ_FIRE_NEVER. */
static int64_t instant_of(const struct uj_fire *fire, enum uj_fold fold,
                          const struct uj_local *local)
{
  if (local->count == 0 && fire->gap == UJ_GAP_SKIP)
    return UJ_FIRE_NEVER;
  return local->instant_s[local->count == 2 && fold == UJ_FOLD_SECOND];
}

/* The local time of an instant, and in a fold which of the two it is. */
static struct uj_local look(const struct uj_fire *fire, int64_t instant_s,
                            int64_t *local_s, bool *is_second)
{
  struct uj_local local;
  *local_s = instant_s + uj_zone_span(fire->zone, instant_s).offset_s;
  local = uj_zone_resolve(fire->zone, *local_s);
  *is_second = local.count == 2 && local.instant_s[1] == instant_s;
  return local;
}

/* The first local time that can fire at an instant: that which the wall clock
 * shows there, or the begin of the gap that ends there. */
static int64_t earliest_at(const struct uj_fire *fire, int64_t instant_s,
                           int64_t local_s)
{
  int64_t begin_s;
  if (uj_zone_span(fire->zone, instant_s).begin_s != instant_s)
    return local_s;
  begin_s = instant_s + uj_zone_span(fire->zone, instant_s - 1).offset_s;
  return begin_s < local_s ? begin_s : local_s;
}

static int64_t fixed_next(const struct uj_fire *fire, enum uj_fold fold,
                          int64_t instant_s)
{
  int64_t local_s, match_s;
  bool is_second;
  struct uj_local local = look(fire, instant_s + 1, &local_s, &is_second);
  if (local.count == 2 && is_second && fold == UJ_FOLD_FIRST)
    local_s = local.end_s;
  else if (local.count == 2 && !is_second && fold == UJ_FOLD_SECOND)
    local_s = local.begin_s;
  local_s = earliest_at(fire, instant_s + 1, local_s);
  while ((match_s = uj_cron_at_or_after(fire->cron, local_s)) !=
         UJ_CRON_NEVER) {
    int64_t found_s;
    local = uj_zone_resolve(fire->zone, match_s);
    found_s = instant_of(fire, fold, &local);
    if (found_s > instant_s)
      return found_s;
    local_s = local.count == 0 ? local.end_s : match_s + 1;
  }
  return UJ_FIRE_NEVER;
}

static int64_t fixed_previous(const struct uj_fire *fire, enum uj_fold fold,
                              int64_t instant_s)
{
  int64_t local_s, match_s;
  bool is_second;
  struct uj_local local = look(fire, instant_s - 1, &local_s, &is_second);
  if (local.count == 2 && is_second && fold == UJ_FOLD_FIRST)
    local_s = local.end_s - 1;
  else if (local.count == 2 && !is_second && fold == UJ_FOLD_SECOND)
    local_s = local.begin_s - 1;
  while ((match_s = uj_cron_at_or_before(fire->cron, local_s)) !=
         UJ_CRON_NEVER) {
    int64_t found_s;
    local = uj_zone_resolve(fire->zone, match_s);
    found_s = instant_of(fire, fold, &local);
    if (found_s != UJ_FIRE_NEVER && found_s < instant_s)
      return found_s;
    local_s = local.count == 0 ? local.begin_s - 1 : match_s - 1;
  }
  return UJ_FIRE_NEVER;
}

/* ---- both kinds ------------------------------------------------------------
 */

int64_t uj_fire_next(const struct uj_fire *fire, int64_t instant_s)
{
  int64_t first_s, second_s;
  if (instant_s >= LAST_S)
    return UJ_FIRE_NEVER;
  if (instant_s < FIRST_S)
    instant_s = FIRST_S;
  if (fire->cron->is_interval)
    return interval_next(fire, instant_s);
  if (fire->fold != UJ_FOLD_BOTH)
    return fixed_next(fire, fire->fold, instant_s);
  first_s = fixed_next(fire, UJ_FOLD_FIRST, instant_s);
  second_s = fixed_next(fire, UJ_FOLD_SECOND, instant_s);
  if (first_s == UJ_FIRE_NEVER || second_s == UJ_FIRE_NEVER)
    return first_s > second_s ? first_s : second_s;
  return first_s < second_s ? first_s : second_s;
}

int64_t uj_fire_previous(const struct uj_fire *fire, int64_t instant_s)
{
  int64_t first_s, second_s;
  if (instant_s <= FIRST_S)
    return UJ_FIRE_NEVER;
  if (instant_s > LAST_S)
    instant_s = LAST_S;
  if (fire->cron->is_interval)
    return interval_previous(fire, instant_s);
  if (fire->fold != UJ_FOLD_BOTH)
    return fixed_previous(fire, fire->fold, instant_s);
  first_s = fixed_previous(fire, UJ_FOLD_FIRST, instant_s);
  second_s = fixed_previous(fire, UJ_FOLD_SECOND, instant_s);
  return first_s > second_s ? first_s : second_s;
}
