/* Builds TZif data for the tests of src/calendar. */
#ifndef SPEC_CALENDAR_TZIF_H
#define SPEC_CALENDAR_TZIF_H

#include "check.h"

#include "calendar/zone.h"

enum { TZIF_SIZE = 8192, TZIF_TRANSITIONS = 64 };

struct tzif {
  uint8_t data[TZIF_SIZE];
  size_t size;
};

/* The transitions of a zone that has a type of its own for each of them. */
struct tzif_zone {
  unsigned count;
  int64_t at_s[TZIF_TRANSITIONS];
  int32_t offset_s[TZIF_TRANSITIONS + 1]; /* [0] holds before all of them */
  const char *footer;                     /* a TZ string, or "" */
};

static inline void tzif_put(struct tzif *tzif, uint64_t value, unsigned size)
{
  while (size-- > 0)
    tzif->data[tzif->size++] = (uint8_t)(value >> (size * 8));
}

static inline void tzif_put_header(struct tzif *tzif, char version,
                                   unsigned ntransitions, unsigned ntypes,
                                   unsigned nchars)
{
  memcpy(tzif->data + tzif->size, "TZif", 4);
  tzif->size += 4;
  tzif_put(tzif, (uint8_t)version, 1);
  tzif_put(tzif, 0, 8);
  tzif_put(tzif, 0, 7);
  tzif_put(tzif, 0, 4); /* UT indicators */
  tzif_put(tzif, 0, 4); /* standard time indicators */
  tzif_put(tzif, 0, 4); /* leap seconds */
  tzif_put(tzif, ntransitions, 4);
  tzif_put(tzif, ntypes, 4);
  tzif_put(tzif, nchars, 4);
}

static inline void tzif_put_block(struct tzif *tzif,
                                  const struct tzif_zone *zone,
                                  unsigned time_size)
{
  for (unsigned i = 0; i < zone->count; i++)
    tzif_put(tzif, (uint64_t)zone->at_s[i], time_size);
  for (unsigned i = 0; i < zone->count; i++)
    tzif_put(tzif, i + 1, 1);
  for (unsigned i = 0; i <= zone->count; i++) {
    tzif_put(tzif, (uint32_t)zone->offset_s[i], 4);
    tzif_put(tzif, i % 2, 1); /* daylight saving time in every other one */
    tzif_put(tzif, 0, 1);
  }
  memcpy(tzif->data + tzif->size, "ABC", 4);
  tzif->size += 4;
}

/* Of version 1 without a footer, else with an empty block of version 1. */
static inline void tzif_build(struct tzif *tzif, char version,
                              const struct tzif_zone *zone)
{
  static const struct tzif_zone empty = {.footer = ""};
  tzif->size = 0;
  if (version == 0) {
    tzif_put_header(tzif, 0, zone->count, zone->count + 1, 4);
    tzif_put_block(tzif, zone, 4);
    return;
  }
  tzif_put_header(tzif, version, 0, 1, 4);
  tzif_put_block(tzif, &empty, 4);
  tzif_put_header(tzif, version, zone->count, zone->count + 1, 4);
  tzif_put_block(tzif, zone, 8);
  tzif->size += (size_t)snprintf((char *)tzif->data + tzif->size, 64, "\n%s\n",
                                 zone->footer);
}

static inline struct uj_zone *tzif_zone_new(const struct tzif_zone *zone)
{
  struct tzif tzif;
  struct uj_zone *made;
  tzif_build(&tzif, '2', zone);
  CHECK_EQ(uj_zone_new(&made, tzif.data, tzif.size), UJ_ZONE_OK);
  return made;
}

#endif
