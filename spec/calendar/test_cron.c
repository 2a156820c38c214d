/* calendar/cron.h: what a pattern says, and what is refused. */
#include "check.h"

#include "calendar/civil.h"
#include "calendar/pattern.h"

static struct uj_cron cron;
static char message[UJ_CRON_MESSAGE_SIZE];

static bool parse(const char *pattern)
{
  return uj_cron_parse(&cron, pattern, strlen(pattern), message);
}

/* The local time as text; the second is left out where it is 0. */
static const char *text_of(int64_t local_s)
{
  static char text[64];
  int64_t days;
  int second;
  struct uj_date date;
  if (local_s == UJ_CRON_NEVER)
    return "never";
  days = uj_floor_div(local_s, UJ_DAY_S);
  second = (int)(local_s - days * UJ_DAY_S);
  date = uj_date_of_days(days);
  snprintf(text, sizeof(text),
           second % 60 == 0 ? "%d-%02d-%02d %02d:%02d"
                            : "%d-%02d-%02d %02d:%02d:%02d",
           date.year, date.month, date.day, second / 3600, second / 60 % 60,
           second % 60);
  return text;
}

static int64_t time_of(int year, int month, int day, int hour, int minute)
{
  struct uj_date date = {year, (uint8_t)month, (uint8_t)day};
  return uj_days_of_date(date) * UJ_DAY_S + hour * 3600 + minute * 60;
}

/* The first times from 2026-01-01 00:00 on, separated by commas. */
static const char *times_of(const char *pattern, int count)
{
  static char text[512];
  int64_t local_s = time_of(2026, 1, 1, 0, 0);
  text[0] = '\0';
  if (!parse(pattern))
    return message;
  while (count-- > 0) {
    int64_t next_s = uj_cron_at_or_after(&cron, local_s);
    strcat(text, text_of(next_s));
    if (count > 0)
      strcat(text, ", ");
    if (next_s == UJ_CRON_NEVER)
      break;
    CHECK_EQ(uj_cron_at_or_before(&cron, next_s), next_s);
    CHECK(uj_cron_at_or_before(&cron, next_s - 1) < next_s);
    local_s = next_s + 1;
  }
  return text;
}

struct case_of {
  const char *pattern, *times;
  int count;
};

static void check_cases(const struct case_of *cases, size_t count)
{
  for (size_t i = 0; i < count; i++)
    CHECK_STR(times_of(cases[i].pattern, cases[i].count), cases[i].times);
}

#define CASES(cases) check_cases(cases, sizeof(cases) / sizeof(*(cases)))

static void five_fields(void)
{
  static const struct case_of cases[] = {
      {"* * * * *", "2026-01-01 00:00, 2026-01-01 00:01", 2},
      {"5-59/15 * * * *", "2026-01-01 00:05, 2026-01-01 00:20", 2},
      {"\t 0,30  12 * * * ", "2026-01-01 12:00, 2026-01-01 12:30", 2},
      {"30 2 * * MON-FRI",
       "2026-01-01 02:30, 2026-01-02 02:30, "
       "2026-01-05 02:30",
       3},
      {"0 0 29 feb *", "2028-02-29 00:00, 2032-02-29 00:00", 2},
      {"0 0 * Jan,dec sun", "2026-01-04 00:00, 2026-01-11 00:00", 2},
      {"0 0 * * 7", "2026-01-04 00:00, 2026-01-11 00:00", 2},
      {"0 0 * * 5-7", "2026-01-02 00:00, 2026-01-03 00:00, 2026-01-04 00:00",
       3},
      {"0 0 * * SAT-SUN",
       "2026-01-03 00:00, 2026-01-04 00:00, "
       "2026-01-10 00:00",
       3},
      {"0 0 1,15 * 3",
       "2026-01-01 00:00, 2026-01-07 00:00, 2026-01-14 00:00, "
       "2026-01-15 00:00",
       4},
      {"0 0 31 * *", "2026-01-31 00:00, 2026-03-31 00:00", 2},
      {"0 0 */2 * *", "2026-01-01 00:00, 2026-01-03 00:00", 2},
      {"*/1000 * * * *", "2026-01-01 00:00, 2026-01-01 01:00", 2},
  };
  CASES(cases);
}

static void seconds_and_years(void)
{
  static const struct case_of cases[] = {
      {"*/20 * * * * *", "2026-01-01 00:00, 2026-01-01 00:00:20", 2},
      {"59 59 23 31 12 *", "2026-12-31 23:59:59", 1},
      {"0 15 10 * * * 2027", "2027-01-01 10:15, 2027-01-02 10:15", 2},
      {"0 0 0 1 1 * */2", "2026-01-01 00:00, 2028-01-01 00:00", 2},
      {"0 0 0 1 1 * 1971-2199/2", "2027-01-01 00:00, 2029-01-01 00:00", 2},
      {"0 0 0 31 12 * 2199", "2199-12-31 00:00, never", 2},
      {"0 0 0 1 1 * 2025", "never", 1},
  };
  CASES(cases);
}

static void nicknames(void)
{
  static const struct case_of cases[] = {
      {"@yearly", "2026-01-01 00:00, 2027-01-01 00:00", 2},
      {"@annually", "2026-01-01 00:00, 2027-01-01 00:00", 2},
      {" @monthly ", "2026-01-01 00:00, 2026-02-01 00:00", 2},
      {"@weekly", "2026-01-04 00:00, 2026-01-11 00:00", 2},
      {"@daily", "2026-01-01 00:00, 2026-01-02 00:00", 2},
      {"@midnight", "2026-01-01 00:00, 2026-01-02 00:00", 2},
      {"@hourly", "2026-01-01 00:00, 2026-01-01 01:00", 2},
  };
  CASES(cases);
}

static void last_nth_and_nearest(void)
{
  static const struct case_of cases[] = {
      {"0 0 L * *", "2026-01-31 00:00, 2026-02-28 00:00", 2},
      {"0 0 L 2 *", "2026-02-28 00:00, 2027-02-28 00:00, 2028-02-29 00:00", 3},
      {"0 0 15,L * *", "2026-01-15 00:00, 2026-01-31 00:00", 2},
      {"0 0 * * 5L", "2026-01-30 00:00, 2026-02-27 00:00", 2},
      {"0 0 * * FRI#L", "2026-01-30 00:00, 2026-02-27 00:00", 2},
      {"0 0 * * 2#3", "2026-01-20 00:00, 2026-02-17 00:00", 2},
      {"0 0 * * MON#1,FRI#L", "2026-01-05 00:00, 2026-01-30 00:00", 2},
      {"0 0 * * SUN#5", "2026-03-29 00:00, 2026-05-31 00:00", 2},
      {"0 12 15W * *", "2026-01-15 12:00, 2026-02-16 12:00, 2026-03-16 12:00",
       3},
      {"0 12 1W 8 *", "2026-08-03 12:00", 1},  /* the 1st is a Saturday */
      {"0 12 31W 5 *", "2026-05-29 12:00", 1}, /* the 31st is a Sunday */
      {"0 12 31W * *", "2026-01-30 12:00, 2026-03-31 12:00", 2},
  };
  CASES(cases);
}

static void days_by_and(void)
{
  static const struct case_of cases[] = {
      {"0 12 1 * +MON", "2026-06-01 12:00, 2027-02-01 12:00", 2},
      {"0 12 1 * MON", "2026-01-01 12:00, 2026-01-05 12:00", 2},
      {"0 0 29 2 +TUE", "2028-02-29 00:00, 2056-02-29 00:00", 2},
      {"0 0 ? * MON", "2026-01-05 00:00, 2026-01-12 00:00", 2},
      {"0 0 1 * ?", "2026-01-01 00:00, 2026-02-01 00:00", 2},
  };
  CASES(cases);
}

static void refused(void)
{
  static const char *const cases[][2] = {
      {"61 * * * *", "minute: 61 is not in 0-59, at character 1"},
      {"* 24 * * *", "hour: 24 is not in 0-23, at character 3"},
      {"* * 0 * *", "day of month: 0 is not in 1-31, at character 5"},
      {"* * * 13 *", "month: 13 is not in 1-12, at character 7"},
      {"* * * * 8", "day of week: 8 is not in 0-7, at character 9"},
      {"0 0 0 1 1 * 2200", "year: 2200 is not in 1970-2199, at character 13"},
      {"99999999999 * * * *",
       "minute: 9999999999 is not in 0-59, at character 1"},
      {"30-10 * * * *",
       "minute: the range ends before it begins, at character 4"},
      {"*/0 * * * *", "minute: a step of 0 leads nowhere, at character 3"},
      {"/30 * * * *", "minute: '/' does not belong here, at character 1"},
      {"0/15 * * * *",
       "minute: a step needs '*' or a range before it, at character 2"},
      {"*/ * * * *", "minute: a number is missing after '/', at character 2"},
      {"1, * * * *", "minute: a value is missing, at character 3"},
      {"1- * * * *", "minute: a value is missing, at character 3"},
      {"5x * * * *", "minute: 'x' does not belong here, at character 2"},
      {"** * * * *", "minute: '*' does not belong here, at character 2"},
      {"* * * * * L", "day of week: 'L' is not known, at character 11"},
      {"* L * * *", "hour: 'L' is not known, at character 3"},
      {"? * * * *", "minute: '?' is for days only, at character 1"},
      {"* * 1-15W * *",
       "day of month: 'W' goes with a single day only, at character 9"},
      {"* * 1W,15W * *",
       "day of month: 'W' goes with a single day only, at character 6"},
      {"* * * * 2#6",
       "day of week: 1 to 5, or L, is wanted after '#', at character 11"},
      {"* * * * 2#",
       "day of week: 1 to 5, or L, is wanted after '#', at character 11"},
      {"* * * * MON-FRI#1",
       "day of week: '#' does not belong here, at character 16"},
      {"* * +1 * *", "day of month: '+' does not belong here, at character 5"},
      {"* * * * MON,+TUE",
       "day of week: '+' does not belong here, at character 13"},
      {"* * * Foo *", "month: 'Foo' is not known, at character 7"},
      {"* * * * Monday", "day of week: 'Monday' is not known, at character 9"},
      {"0 0 30 2 *", "never matches before 2200"},
      {"0 0 31 4,6,9,11 *", "never matches before 2200"},
      {"", "0 fields, but 5 are wanted (minute, hour, day of month, month, day "
           "of week), 6 with seconds, 7 with years"},
      {"* * * *", "4 fields, but 5 are wanted (minute, hour, day of month, "
                  "month, day of week), 6 with seconds, 7 with years"},
      {"* * * * * * * *",
       "8 fields, but 5 are wanted (minute, hour, day of month, month, day of "
       "week), 6 with seconds, 7 with years"},
      {"@reboot", "@reboot is not supported: it names no time"},
      {"@Daily", "'@Daily' is no nickname"},
      {"@daily *", "a nickname stands alone"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    CHECK(!parse(cases[i][0]));
    CHECK_STR(message, cases[i][1]);
  }
}

/* Bytes that are no text, and a zero in the middle. */
static void any_bytes(void)
{
  uint64_t rng = 1;
  static const char likely[] = "0123456789*/,-#LW?+ \tMONFRIJAN@";
  for (int round = 0; round < 200000; round++) {
    char text[24];
    size_t size = (size_t)check_below(&rng, sizeof(text));
    for (size_t i = 0; i < size; i++)
      text[i] = check_below(&rng, 20) == 0
                    ? (char)check_random(&rng)
                    : likely[check_below(&rng, sizeof(likely) - 1)];
    if (uj_cron_parse(&cron, text, size, message))
      CHECK(uj_cron_at_or_after(&cron, 0) >= 0);
    else
      CHECK(message[0] != '\0');
  }
}

static void intervals(void)
{
  static const char *const cases[][2] = {
      {"0 * * * *", "yes"},     {"0 1-5 * * *", "yes"}, {"0 */2 * * *", "yes"},
      {"0 1,3-4 * * *", "yes"}, {"0 1,2 * * *", "no"},  {"*/5 2 * * *", "no"},
      {"* 2 * * *", "no"},      {"@hourly", "yes"},     {"@daily", "no"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    CHECK(parse(cases[i][0]));
    CHECK_STR(cron.is_interval ? "yes" : "no", cases[i][1]);
  }
}

int main(void)
{
  static const struct check_test tests[] = {
      {"five fields: lists, ranges, steps and names", five_fields},
      {"seconds in front and years behind", seconds_and_years},
      {"nicknames stand for patterns", nicknames},
      {"L, # and W", last_nth_and_nearest},
      {"days of month and week are joined by or, and by and after a +",
       days_by_and},
      {"what is wrong is named, with its place #R16", refused},
      {"any bytes are read or refused", any_bytes},
      {"hours by *, a range or a step make an interval pattern #R4", intervals},
  };
  return CHECK_RUN(tests);
}
