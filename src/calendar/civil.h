/* Dates of the proleptic Gregorian calendar as numbers.
 *
 * A local time is the number of seconds from 1970-01-01 00:00:00 on the wall
 * clock of some zone, as if each day had 86,400 of them. It says nothing of
 * the zone: zone.h turns it into instants. */
#ifndef UJ_CALENDAR_CIVIL_H
#define UJ_CALENDAR_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

#define UJ_DAY_S INT64_C(86400)

struct uj_date {
  int32_t year;
  uint8_t month; /* 1 to 12 */
  uint8_t day;   /* 1 to 31 */
};

static inline int64_t uj_floor_div(int64_t a, int64_t b)
{
  return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

static inline bool uj_is_leap(int32_t year)
{
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static inline uint8_t uj_month_length(int32_t year, unsigned month)
{
  static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30,
                                    31, 31, 30, 31, 30, 31};
  return month == 2 && uj_is_leap(year) ? 29 : lengths[month - 1];
}

/* Days from 1970-01-01 to a date. Years are counted from March, so that the
 * leap day is the last of a year; an era is 400 years. The algorithm is
 * days_from_civil of Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms". */
static inline int64_t uj_days_of_date(struct uj_date date)
{
  int64_t year = (int64_t)date.year - (date.month <= 2);
  int64_t era = uj_floor_div(year, 400);
  int64_t of_era = year - era * 400;
  int64_t of_year =
      (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
         719468;
}

/* The inverse: civil_from_days of the same source. */
static inline struct uj_date uj_date_of_days(int64_t days)
{
  int64_t shifted = days + 719468;
  int64_t era = uj_floor_div(shifted, 146097);
  int64_t day = shifted - era * 146097;
  int64_t of_era = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  int64_t of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
  int64_t month = (5 * of_year + 2) / 153; /* from March */
  struct uj_date date;
  date.day = (uint8_t)(of_year - (153 * month + 2) / 5 + 1);
  date.month = (uint8_t)(month < 10 ? month + 3 : month - 9);
  date.year = (int32_t)(of_era + era * 400 + (date.month <= 2));
  return date;
}

/* 0 for Sunday to 6 for Saturday; 1970-01-01 was a Thursday. */
static inline unsigned uj_weekday_of_days(int64_t days)
{
  return (unsigned)(days + 4 - uj_floor_div(days + 4, 7) * 7);
}

#endif
