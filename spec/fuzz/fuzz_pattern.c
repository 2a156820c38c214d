/* Reads bytes as a cron pattern, and checks when it fires:
 * spec/fuzz/fuzz_calendar.h has the usage. The first two bytes of an input
 * choose a time to look from, the rest is the pattern. */
#include "fuzz_calendar.h"

#include "tzif.h"

/* The zone of Berlin since 1996, by its rule. */
static const struct uj_zone *berlin(void)
{
  static struct uj_zone *zone;
  static const struct tzif_zone slim = {.footer = "CET-1CEST,M3.5.0,M10.5.0/3",
                                        .offset_s = {3600}};
  if (zone == NULL)
    zone = tzif_zone_new(&slim);
  return zone;
}

/* Checks the local times that match, forwards and backwards from a time. */
static void check_local_times(const struct uj_cron *cron, int64_t local_s)
{
  int64_t next_s = uj_cron_at_or_after(cron, local_s);
  int64_t previous_s = uj_cron_at_or_before(cron, local_s);
  CHECK(uj_cron_at_or_after(cron, 0) != UJ_CRON_NEVER);
  if (next_s != UJ_CRON_NEVER) {
    CHECK(next_s >= local_s);
    CHECK_EQ(uj_cron_at_or_after(cron, next_s), next_s);
    CHECK_EQ(uj_cron_at_or_before(cron, next_s), next_s);
    if (next_s > local_s)
      CHECK_EQ(uj_cron_at_or_before(cron, next_s - 1), previous_s);
  }
  if (previous_s != UJ_CRON_NEVER) {
    CHECK(previous_s <= local_s);
    CHECK_EQ(uj_cron_at_or_before(cron, previous_s), previous_s);
    if (previous_s < local_s)
      CHECK_EQ(uj_cron_at_or_after(cron, previous_s + 1), next_s);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct uj_cron cron;
  char message[UJ_CRON_MESSAGE_SIZE];
  int64_t at_s;
  if (size < 2)
    return 0;
  at_s = (int64_t)(data[0] * 256 + data[1]) * 110771 - 1000000;
  if (!uj_cron_parse(&cron, (const char *)data + 2, size - 2, message))
    CHECK(message[0] != '\0' && memchr(message, '\0', sizeof message) != NULL);
  else {
    check_local_times(&cron, at_s);
    fuzz_check_fires(&cron, berlin(), at_s, true);
    fuzz_check_fires(&cron, berlin(), INT64_C(1774746000) + data[0],
                     true); /* a gap */
  }
  if (check_failures != 0) {
    fflush(stdout);
    abort();
  }
  return 0;
}

#ifndef FUZZ_LIBFUZZER

static size_t fuzz_example(uint64_t *rng, uint8_t data[FUZZ_SIZE])
{
  static const char *const parts[] = {
      "*",   "*/15", "0",       "30",    "1-5",    "0,30",    "9-17/2",
      "L",   "15W",  "FRI#L",   "MON#2", "5L",     "?",       "+MON",
      "JAN", "1-12", "MON-FRI", "2030",  "59",     "23",      "31",
      "7",   "29",   "2",       "*/2",   "@daily", "@hourly", "1971-2199/2"};
  size_t size = 2;
  data[0] = (uint8_t)check_random(rng);
  data[1] = (uint8_t)check_random(rng);
  for (uint64_t n = 5 + check_below(rng, 3); n > 0; n--) {
    const char *part = parts[check_below(rng, sizeof parts / sizeof *parts)];
    size += (size_t)sprintf((char *)data + size, "%s ", part);
  }
  return size;
}

#endif
