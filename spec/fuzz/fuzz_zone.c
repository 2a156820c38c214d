/* Reads bytes as a TZif file, and checks the zone that they make:
 * spec/fuzz/fuzz_calendar.h has the usage. */
#include "fuzz_calendar.h"

#include "calendar/zone.h"
#include "tzif.h"

static const char *const patterns[] = {"0 * * * *", "30 2 * * *", "0 0 29 2 *"};

static void check_zone(const struct uj_zone *zone, int64_t instant_s,
                       bool is_calm)
{
  fuzz_check_span(zone, instant_s);
  fuzz_check_local(zone, instant_s);
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    struct uj_cron cron;
    char message[UJ_CRON_MESSAGE_SIZE];
    CHECK(uj_cron_parse(&cron, patterns[i], strlen(patterns[i]), message));
    fuzz_check_fires(&cron, zone, instant_s, is_calm);
  }
}

/* Checks a zone at its changes, and at other instants that the data give. */
static void check_all(const struct uj_zone *zone, const uint8_t *data,
                      size_t size)
{
  int64_t instant_s = -UJ_OFFSET_MAX_S;
  bool is_calm = fuzz_is_calm(zone);
  for (int i = 0; i < 6 && instant_s < FUZZ_END_S; i++) {
    check_zone(zone, instant_s, is_calm);
    instant_s = uj_zone_span(zone, instant_s).end_s;
  }
  for (size_t i = 0; i < 4 && i * 8 + 8 <= size; i++) {
    uint64_t value = 0;
    for (size_t n = 0; n < 8; n++)
      value = value << 8 | data[size - 1 - i * 8 - n];
    check_zone(zone, (int64_t)(value % (uint64_t)FUZZ_END_S), is_calm);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct uj_zone *zone;
  enum uj_zone_error error = uj_zone_new(&zone, data, size);
  CHECK((error == UJ_ZONE_OK) == (zone != NULL));
  if (zone != NULL)
    check_all(zone, data, size);
  uj_zone_free(zone);
  if (check_failures != 0) {
    fflush(stdout);
    abort();
  }
  return 0;
}

#ifndef FUZZ_LIBFUZZER

static size_t fuzz_example(uint64_t *rng, uint8_t data[FUZZ_SIZE])
{
  static const char *const footers[] = {"",
                                        "CET-1CEST,M3.5.0,M10.5.0/3",
                                        "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
                                        "EST5EDT,0/0,J365/25",
                                        "IST-1GMT0,M10.5.0,M3.5.0/1",
                                        "AAA0BBB,J365/167,J1/-167"};
  static const char versions[] = {0, '2', '3', '4'};
  struct tzif_zone made = {.count = (unsigned)check_below(rng, 20)};
  struct tzif tzif;
  int64_t at_s = (int64_t)check_below(rng, 2000000000);
  bool is_calm = check_below(rng, 2) == 0;
  for (unsigned i = 0; i < made.count; i++) { /* like real ones, or wild */
    at_s += is_calm ? 200000 : 1;
    at_s += (int64_t)check_below(rng, check_below(rng, 2) ? 300000 : 20000000);
    made.at_s[i] = at_s;
    made.offset_s[i + 1] = is_calm
                               ? (int32_t)check_below(rng, 100) * 900 - 45000
                               : (int32_t)check_below(rng, 190000) - 95000;
  }
  made.footer = footers[check_below(rng, sizeof footers / sizeof *footers)];
  tzif_build(&tzif, versions[check_below(rng, 4)], &made);
  memcpy(data, tzif.data, tzif.size);
  return tzif.size;
}

#endif
