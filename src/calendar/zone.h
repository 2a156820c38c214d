/* A time zone: which offset from UTC held, holds and will hold when.
 *
 * A zone divides time into spans in which the offset is constant. Where one
 * span ends and the next begins the wall clock may jump: forward over a gap of
 * local times that do not exist, or back over a fold of local times that occur
 * twice.
 *
 * Zones are read from TZif data (RFC 9636) of version 1 to 4, in the fat form
 * and in the slim one, which says by a rule what comes after its last
 * transition. The data may be broken: reading it never does more than fail. */
#ifndef UJ_CALENDAR_ZONE_H
#define UJ_CALENDAR_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Instants outside of these are not asked for; spans may reach beyond. */
#define UJ_INSTANT_MIN (INT64_MIN / 4)
#define UJ_INSTANT_MAX (INT64_MAX / 4)

/* No offset is larger than this: RFC 9636 recommends 25 and 26 hours. */
#define UJ_OFFSET_MAX_S (INT64_C(26) * 3600)

struct uj_span {
  int64_t begin_s;  /* the first instant, in seconds since 1970, or
                       UJ_INSTANT_MIN */
  int64_t end_s;    /* the first instant after it, or UJ_INSTANT_MAX */
  int32_t offset_s; /* local time minus UTC */
  bool is_dst;
  const char *name; /* of the zone in this span, such as "CEST"; owned by the
                       zone */
};

struct uj_zone;

enum uj_zone_error {
  UJ_ZONE_OK,
  UJ_ZONE_NO_MEMORY,
  UJ_ZONE_TRUNCATED, /* the data ends too early */
  UJ_ZONE_BROKEN,    /* it is no TZif data, or contradicts itself */
  UJ_ZONE_TOO_LARGE  /* more than anybody needs: over 1 MiB */
};

/* Makes a zone from the contents of a TZif file, which need not outlive the
 * call. */
enum uj_zone_error uj_zone_new(struct uj_zone **zone, const void *data,
                               size_t size);
/* Makes the zone whose offset is always the same. NULL without memory. */
struct uj_zone *uj_zone_new_fixed(int32_t offset_s, const char *name);
void uj_zone_free(struct uj_zone *zone);

/* The span that contains an instant. */
struct uj_span uj_zone_span(const struct uj_zone *zone, int64_t instant_s);

/* What a local time means. */
struct uj_local {
  unsigned count;       /* instants: 0 in a gap, 2 in a fold, 1 elsewhere */
  int64_t instant_s[2]; /* in order; the first one after the gap when count is
                           0 */
  int64_t begin_s;      /* the first local time of the gap or the fold; */
  int64_t end_s;        /* the first one after it */
};

struct uj_local uj_zone_resolve(const struct uj_zone *zone, int64_t local_s);

#endif
