/* calendar/zone.h, calendar/rule.h: TZif data, and what local times mean. */
#include "check.h"

#include "calendar/civil.h"
#include "calendar/rule.h"
#include "tzif.h"

/* An hour forward at 1,000,000 and back at 2,000,000. */
static const struct tzif_zone summer = {
    .count = 2,
    .at_s = {1000000, 2000000},
    .offset_s = {3600, 7200, 3600},
    .footer = "",
};

static const char *describe(const struct uj_zone *zone, int64_t local_s)
{
  static char text[128];
  struct uj_local local = uj_zone_resolve(zone, local_s);
  snprintf(text, sizeof(text),
           "%u: %" PRId64 " %" PRId64 ", %" PRId64 "-%" PRId64, local.count,
           local.instant_s[0], local.count == 2 ? local.instant_s[1] : 0,
           local.begin_s, local.end_s);
  return text;
}

static void gaps_and_folds(void)
{
  struct uj_zone *zone = tzif_zone_new(&summer);
  CHECK_STR(describe(zone, 1003599), "1: 999999 0, 1003599-1003600");
  CHECK_STR(describe(zone, 1003600), "0: 1000000 0, 1003600-1007200");
  CHECK_STR(describe(zone, 1007199), "0: 1000000 0, 1003600-1007200");
  CHECK_STR(describe(zone, 1007200), "1: 1000000 0, 1007200-1007201");
  CHECK_STR(describe(zone, 2003599), "1: 1996399 0, 2003599-2003600");
  CHECK_STR(describe(zone, 2003600), "2: 1996400 2000000, 2003600-2007200");
  CHECK_STR(describe(zone, 2007199), "2: 1999999 2003599, 2003600-2007200");
  CHECK_STR(describe(zone, 2007200), "1: 2003600 0, 2007200-2007201");
  uj_zone_free(zone);
}

static void spans(void)
{
  struct uj_zone *zone = tzif_zone_new(&summer);
  struct uj_span span = uj_zone_span(zone, 999999);
  CHECK_EQ(span.begin_s, UJ_INSTANT_MIN);
  CHECK_EQ(span.end_s, 1000000);
  CHECK_EQ(span.offset_s, 3600);
  CHECK(!span.is_dst);
  span = uj_zone_span(zone, 1000000);
  CHECK_EQ(span.begin_s, 1000000);
  CHECK_EQ(span.end_s, 2000000);
  CHECK(span.is_dst);
  CHECK_STR(span.name, "ABC");
  span = uj_zone_span(zone, 2000000);
  CHECK_EQ(span.end_s, UJ_INSTANT_MAX);
  uj_zone_free(zone);
}

/* The slim form: a rule for all that comes. */
static void follows_the_rule(void)
{
  struct tzif_zone slim = {.footer = "CET-1CEST,M3.5.0,M10.5.0/3",
                           .offset_s = {3600}};
  struct uj_zone *zone = tzif_zone_new(&slim);
  struct uj_span span = uj_zone_span(zone, 1774745999); /* 2026-03-29 */
  CHECK_EQ(span.end_s, 1774746000);
  CHECK_EQ(span.offset_s, 3600);
  CHECK_STR(span.name, "CET");
  span = uj_zone_span(zone, 1774746000);
  CHECK_EQ(span.begin_s, 1774746000);
  CHECK_EQ(span.end_s, 1792890000); /* 2026-10-25 */
  CHECK_STR(span.name, "CEST");
  CHECK(span.is_dst);
  span = uj_zone_span(zone, INT64_C(7255000000)); /* 2199-11 */
  CHECK_EQ(span.offset_s, 3600);
  uj_zone_free(zone);
}

static void reads_rules(void)
{
  static const struct {
    const char *text;
    int32_t std_s, dst_s;
  } good[] = {
      {"UTC0", 0, 0},
      {"<+0330>-3:30", 12600, 0},
      {"<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", -10800, -7200},
      {"EST5EDT,M3.2.0,M11.1.0", -18000, -14400},
      {"IST-1GMT0,M10.5.0,M3.5.0/1", 3600, 0},
      {"XXX3EDT4,0/0,J365/23", -10800, -14400},
      {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 37800, 39600},
  };
  static const char *const bad[] = {
      "",
      "U0",
      "UTC",
      "UTC25",
      "UTC0x",
      "EST5EDT",
      "EST5EDT,1",
      "EST5EDT,M0.1.0,M1.1.0",
      "EST5EDT,M13.1.0,M1.1.0",
      "EST5EDT,M1.6.0,M1.1.0",
      "EST5EDT,M1.1.7,M1.1.0",
      "EST5EDT,J0,J1",
      "EST5EDT,366,1",
      "EST5EDT,J1/168,J2",
      "<+03-3",
      "ABCDEFGHIJKLMNOPQ5",
      "UTC0:60",
  };
  struct uj_rule rule;
  for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
    CHECK(uj_rule_parse(&rule, good[i].text, strlen(good[i].text)));
    CHECK_EQ(rule.std_offset_s, good[i].std_s);
    CHECK_EQ(rule.dst_offset_s, good[i].dst_s);
  }
  for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
    CHECK(!uj_rule_parse(&rule, bad[i], strlen(bad[i])));
}

/* A year of daylight saving time alone: its end is the next one's begin. */
static void has_no_standard_time(void)
{
  struct tzif_zone always = {.footer = "EST5EDT,0/0,J365/25",
                             .offset_s = {-14400}};
  struct uj_zone *zone = tzif_zone_new(&always);
  for (int64_t t = 1767200000; t < 1767300000; t += 100)
    CHECK_EQ(uj_zone_span(zone, t).offset_s, -14400);
  uj_zone_free(zone);
}

/* Changes that lie a week outside of their year: at each instant the last of
 * all years counts, and the first that follows. */
static void changes_in_other_years(void)
{
  static const char *const footers[] = {
      "AAA0BBB,J360/167,J365/167", /* both in January of the next year */
      "AAA0BBB,J1/-167,J3/-167",   /* both in December of the year before */
      "AAA0BBB,J365/167,J1/-167",
  };
  for (size_t i = 0; i < sizeof(footers) / sizeof(*footers); i++) {
    struct tzif_zone odd = {.footer = footers[i]};
    struct uj_zone *zone = tzif_zone_new(&odd);
    int64_t t = 1766000000; /* December 2025 */
    for (int n = 0; n < 20; n++) {
      struct uj_span span = uj_zone_span(zone, t);
      CHECK_EQ(uj_zone_span(zone, span.end_s).begin_s, span.end_s);
      CHECK_EQ(uj_zone_span(zone, span.end_s - 1).is_dst, span.is_dst);
      CHECK(uj_zone_span(zone, span.end_s).is_dst != span.is_dst);
      CHECK(span.end_s - span.begin_s < 366 * UJ_DAY_S);
      t = span.end_s;
    }
    CHECK(t > 1766000000 + 9 * 366 * UJ_DAY_S);
    uj_zone_free(zone);
  }
}

static void versions(void)
{
  struct tzif tzif;
  struct uj_zone *zone;
  static const char known[] = {0, '2', '3', '4'};
  for (size_t i = 0; i < sizeof(known); i++) {
    tzif_build(&tzif, known[i], &summer);
    CHECK_EQ(uj_zone_new(&zone, tzif.data, tzif.size), UJ_ZONE_OK);
    CHECK_EQ(uj_zone_span(zone, 1500000).offset_s, 7200);
    uj_zone_free(zone);
  }
}

static void refuses_what_is_cut(void)
{
  struct tzif tzif;
  struct uj_zone *zone;
  tzif_build(&tzif, '2', &summer);
  for (size_t size = 0; size < tzif.size; size++) {
    void *copy = malloc(size + 1); /* a sanitizer sees what reads too far */
    memcpy(copy, tzif.data, size);
    CHECK(uj_zone_new(&zone, copy, size) != UJ_ZONE_OK);
    CHECK(zone == NULL);
    free(copy);
  }
  CHECK_EQ(uj_zone_new(&zone, tzif.data, (size_t)64 << 20), UJ_ZONE_TOO_LARGE);
}

static void survives_broken_data(void)
{
  uint64_t rng = 7;
  struct tzif_zone rule = summer;
  struct tzif tzif;
  rule.footer = "CET-1CEST,M3.5.0,M10.5.0/3";
  for (int round = 0; round < 100000; round++) {
    struct uj_zone *zone;
    unsigned changes = 1 + (unsigned)check_below(&rng, 4);
    tzif_build(&tzif, '2', &rule);
    while (changes-- > 0)
      tzif.data[check_below(&rng, tzif.size)] = (uint8_t)check_random(&rng);
    if (uj_zone_new(&zone, tzif.data, tzif.size) == UJ_ZONE_OK) {
      for (int i = 0; i < 8; i++) {
        int64_t t = (int64_t)(check_random(&rng) % 8000000000U) - 100000;
        struct uj_span span = uj_zone_span(zone, t);
        struct uj_local local = uj_zone_resolve(zone, t);
        CHECK(span.begin_s <= t && t < span.end_s);
        CHECK(local.count <= 2);
      }
      uj_zone_free(zone);
    }
  }
}

static void fixed_zones(void)
{
  struct uj_zone *zone = uj_zone_new_fixed(0, "UTC");
  struct uj_span span = uj_zone_span(zone, 1700000000);
  CHECK_EQ(span.offset_s, 0);
  CHECK_STR(span.name, "UTC");
  CHECK_EQ(uj_zone_resolve(zone, 1700000000).instant_s[0], 1700000000);
  uj_zone_free(zone);
}

static void dates(void)
{
  for (int64_t days = -800000; days < 800000; days++) {
    struct uj_date date = uj_date_of_days(days);
    if (uj_days_of_date(date) != days) {
      CHECK_EQ(uj_days_of_date(date), days);
      return;
    }
  }
  CHECK_EQ(uj_weekday_of_days(0), 4);
  CHECK_EQ(uj_weekday_of_days(-1), 3);
  CHECK_EQ(uj_days_of_date((struct uj_date){2000, 3, 1}), 11017);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"local times in gaps and folds have 0 and 2 instants", gaps_and_folds},
      {"spans of equal offset", spans},
      {"the rule of the footer goes on after the last transition",
       follows_the_rule},
      {"reads rules, and refuses what is none", reads_rules},
      {"a rule without standard time", has_no_standard_time},
      {"a rule whose changes lie in other years", changes_in_other_years},
      {"reads versions 1 to 4", versions},
      {"refuses data that are cut off anywhere", refuses_what_is_cut},
      {"survives broken data", survives_broken_data},
      {"zones of a fixed offset", fixed_zones},
      {"dates and days are inverse", dates},
  };
  return CHECK_RUN(tests);
}
