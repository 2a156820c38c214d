#include "calendar/cron.h"

#include "calendar/civil.h"

#define MINUTE_S 60
#define HOUR_S 3600

#define LAST_DAY 84005 /* 2199-12-31, in days since 1970-01-01 */

/* ---- the days of a month ---------------------------------------------------
 */

/* The weekday, Monday to Friday, of the same month that is closest to a day. */
static unsigned nearest_weekday(unsigned day, unsigned weekday, unsigned length)
{
  if (weekday == 6)
    return day > 1 ? day - 1 : day + 2;
  if (weekday == 0)
    return day < length ? day + 1 : day - 2;
  return day;
}

static uint32_t days_by_date(const struct uj_cron *cron, unsigned first_weekday,
                             unsigned length)
{
  uint32_t days = cron->days;
  if (cron->last_day)
    days |= UINT32_C(1) << length;
  for (unsigned day = 1; day <= length && cron->near_days >> day != 0; day++) {
    if (cron->near_days >> day & 1)
      days |= UINT32_C(1) << (nearest_weekday(
                                  day, (first_weekday + day - 1) % 7, length) &
                              31);
  }
  return days;
}

static uint32_t days_by_weekday(const struct uj_cron *cron,
                                unsigned first_weekday, unsigned length)
{
  static const uint32_t every_week =
      UINT32_C(0x10204081); /* bits 0, 7, 14 .. */
  uint32_t days = 0;
  for (unsigned weekday = 0; weekday < 7; weekday++) {
    unsigned first = 1 + (weekday + 7 - first_weekday) % 7;
    unsigned last = first + (length - first) / 7 * 7;
    unsigned nth = cron->nth_weekday[weekday];
    if (cron->weekdays >> weekday & 1)
      days |= every_week << first;
    for (unsigned n = 1; n <= 5; n++) {
      if ((nth >> n & 1) && first + (n - 1) * 7 <= length)
        days |= UINT32_C(1) << (first + (n - 1) * 7);
    }
    if (nth & 1)
      days |= UINT32_C(1) << last;
  }
  return days;
}

/* The days of a month that match: bit n for day n. */
static uint32_t days_in(const struct uj_cron *cron, int32_t year,
                        unsigned month)
{
  struct uj_date first = {year, (uint8_t)month, 1};
  unsigned length = uj_month_length(year, month);
  unsigned first_weekday = uj_weekday_of_days(uj_days_of_date(first));
  uint32_t in_month = (uint32_t)((UINT64_C(2) << length) - 2);
  uint32_t by_date, by_weekday;
  if (cron->any_day && cron->any_weekday)
    return in_month;
  by_date = days_by_date(cron, first_weekday, length);
  by_weekday = days_by_weekday(cron, first_weekday, length);
  if (cron->any_day)
    return by_weekday & in_month;
  if (cron->any_weekday)
    return by_date & in_month;
  return (cron->both ? by_date & by_weekday : by_date | by_weekday) & in_month;
}

/* ---- searching -------------------------------------------------------------
 */

static bool has_year(const struct uj_cron *cron, int32_t year)
{
  unsigned n = (unsigned)(year - UJ_CRON_YEAR_MIN);
  return cron->years[n / 64] >> (n % 64) & 1;
}

/* The lowest bit that is set from bit `from` on, or -1. */
static int lowest(uint64_t bits, int from)
{
  bits = from < 64 ? bits >> from << from : 0;
  return bits == 0 ? -1 : __builtin_ctzll(bits);
}

/* The highest bit that is set up to bit `to`, or -1. */
static int highest(uint64_t bits, int to)
{
  if (to < 0)
    return -1;
  bits = to < 63 ? bits & ((UINT64_C(2) << to) - 1) : bits;
  return bits == 0 ? -1 : 63 - __builtin_clzll(bits);
}

/* The first second of a day that matches and is not before `from`, or -1. */
static int64_t first_in_day(const struct uj_cron *cron, int64_t from)
{
  int hour = (int)(from / HOUR_S), minute = (int)(from / MINUTE_S % 60);
  int second = lowest(cron->seconds, (int)(from % 60));
  if (second < 0)
    minute++;
  if (!(cron->hours >> hour & 1)) {
    hour = lowest(cron->hours, hour);
    minute = second = -1;
  } else if ((minute = lowest(cron->minutes, minute)) < 0) {
    hour = lowest(cron->hours, hour + 1);
    second = -1;
  } else if (minute != from / MINUTE_S % 60)
    second = -1;
  if (hour < 0)
    return -1;
  if (minute < 0)
    minute = lowest(cron->minutes, 0);
  if (second < 0)
    second = lowest(cron->seconds, 0);
  return hour * HOUR_S + minute * MINUTE_S + second;
}

/* The last second of a day that matches and is not after `to`, or -1. */
static int64_t last_in_day(const struct uj_cron *cron, int64_t to)
{
  int hour = (int)(to / HOUR_S), minute = (int)(to / MINUTE_S % 60);
  int second = highest(cron->seconds, (int)(to % 60));
  if (second < 0)
    minute--;
  if (!(cron->hours >> hour & 1)) {
    hour = highest(cron->hours, hour);
    minute = second = -1;
  } else if ((minute = highest(cron->minutes, minute)) < 0) {
    hour = highest(cron->hours, hour - 1);
    second = -1;
  } else if (minute != to / MINUTE_S % 60)
    second = -1;
  if (hour < 0)
    return -1;
  if (minute < 0)
    minute = highest(cron->minutes, 59);
  if (second < 0)
    second = highest(cron->seconds, 59);
  return hour * HOUR_S + minute * MINUTE_S + second;
}

static int64_t seconds_of(int32_t year, unsigned month, int day)
{
  struct uj_date date = {year, (uint8_t)month, (uint8_t)day};
  return uj_days_of_date(date) * UJ_DAY_S;
}

/* The first match from the beginning of that day of a month on. */
static int64_t search_on(const struct uj_cron *cron, int32_t year,
                         unsigned month, int from_day)
{
  for (; year <= UJ_CRON_YEAR_MAX; year++, month = 1, from_day = 1) {
    for (; has_year(cron, year) && month <= 12; month++, from_day = 1) {
      int day = -1;
      if (cron->months >> month & 1)
        day = lowest(days_in(cron, year, month), from_day);
      if (day >= 0)
        return seconds_of(year, month, day) + first_in_day(cron, 0);
    }
  }
  return UJ_CRON_NEVER;
}

/* The last match up to the end of that day of a month. */
static int64_t search_back(const struct uj_cron *cron, int32_t year, int month,
                           int to_day)
{
  for (; year >= UJ_CRON_YEAR_MIN; year--, month = 12, to_day = 31) {
    for (; has_year(cron, year) && month >= 1; month--, to_day = 31) {
      int day = -1;
      if (cron->months >> month & 1)
        day = highest(days_in(cron, year, (unsigned)month), to_day);
      if (day >= 0)
        return seconds_of(year, (unsigned)month, day) +
               last_in_day(cron, UJ_DAY_S - 1);
    }
  }
  return UJ_CRON_NEVER;
}

static bool matches_day(const struct uj_cron *cron, struct uj_date date)
{
  return has_year(cron, date.year) && (cron->months >> date.month & 1) &&
         (days_in(cron, date.year, date.month) >> date.day & 1);
}

int64_t uj_cron_at_or_after(const struct uj_cron *cron, int64_t local_s)
{
  int64_t days = uj_floor_div(local_s, UJ_DAY_S), found;
  struct uj_date date;
  if (days < 0)
    return search_on(cron, UJ_CRON_YEAR_MIN, 1, 1);
  if (days > LAST_DAY)
    return UJ_CRON_NEVER;
  date = uj_date_of_days(days);
  if (matches_day(cron, date)) {
    found = first_in_day(cron, local_s - days * UJ_DAY_S);
    if (found >= 0)
      return days * UJ_DAY_S + found;
  }
  return search_on(cron, date.year, date.month, date.day + 1);
}

int64_t uj_cron_at_or_before(const struct uj_cron *cron, int64_t local_s)
{
  int64_t days = uj_floor_div(local_s, UJ_DAY_S), found;
  struct uj_date date;
  if (days < 0)
    return UJ_CRON_NEVER;
  if (days > LAST_DAY)
    return search_back(cron, UJ_CRON_YEAR_MAX, 12, 31);
  date = uj_date_of_days(days);
  if (matches_day(cron, date)) {
    found = last_in_day(cron, local_s - days * UJ_DAY_S);
    if (found >= 0)
      return days * UJ_DAY_S + found;
  }
  return search_back(cron, date.year, date.month, date.day - 1);
}
