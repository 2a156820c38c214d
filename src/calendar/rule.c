#include "calendar/rule.h"

#include <string.h>

#include "calendar/civil.h"

#define HOUR_S 3600
#define DEFAULT_TIME_S (2 * HOUR_S)
#define MAX_OFFSET_HOURS 24
#define MAX_TIME_HOURS 167

/* What is left of the text. */
struct reader {
  const char *at;
  const char *end;
};

static bool next_is(const struct reader *reader, char wanted)
{
  return reader->at < reader->end && *reader->at == wanted;
}

static bool skip(struct reader *reader, char wanted)
{
  if (!next_is(reader, wanted))
    return false;
  reader->at++;
  return true;
}

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Reads digits as a number that is at most `max`. */
static bool read_number(struct reader *reader, int32_t max, int32_t *number)
{
  const char *begin = reader->at;
  *number = 0;
  while (reader->at < reader->end && is_digit(*reader->at)) {
    *number = *number * 10 + (*reader->at++ - '0');
    if (*number > max)
      return false;
  }
  return reader->at > begin;
}

/* Reads `[+-]hh[:mm[:ss]]` as seconds. */
static bool read_time(struct reader *reader, int32_t max_hours, int32_t *time_s)
{
  bool negative = skip(reader, '-');
  int32_t hours, minutes = 0, seconds = 0;
  if (!negative)
    (void)skip(reader, '+');
  if (!read_number(reader, max_hours, &hours))
    return false;
  if (skip(reader, ':')) {
    if (!read_number(reader, 59, &minutes))
      return false;
    if (skip(reader, ':') && !read_number(reader, 59, &seconds))
      return false;
  }
  *time_s = hours * HOUR_S + minutes * 60 + seconds;
  if (negative)
    *time_s = -*time_s;
  return true;
}

/* Reads `CET`, or `<+0330>` where the name is not made of letters. */
static bool read_name(struct reader *reader, char *name)
{
  bool quoted = skip(reader, '<');
  size_t length = 0;
  while (reader->at < reader->end &&
         (quoted ? *reader->at != '>' : is_letter(*reader->at))) {
    if (length == UJ_RULE_NAME_MAX)
      return false;
    name[length++] = *reader->at++;
  }
  name[length] = '\0';
  return length >= 3 && (!quoted || skip(reader, '>'));
}

/* Reads `m.w.d` after its M. */
static bool read_month_day(struct reader *reader, struct uj_rule_day *day)
{
  int32_t month, week, weekday;
  if (!read_number(reader, 12, &month) || !skip(reader, '.') ||
      !read_number(reader, 5, &week) || !skip(reader, '.') ||
      !read_number(reader, 6, &weekday) || month < 1 || week < 1)
    return false;
  day->kind = UJ_RULE_MONTH;
  day->month = (uint8_t)month;
  day->week = (uint8_t)week;
  day->weekday = (uint8_t)weekday;
  return true;
}

static bool read_day(struct reader *reader, struct uj_rule_day *day)
{
  int32_t number;
  memset(day, 0, sizeof(*day));
  if (skip(reader, 'M')) {
    if (!read_month_day(reader, day))
      return false;
  } else {
    day->kind = skip(reader, 'J') ? UJ_RULE_JULIAN : UJ_RULE_ZERO_BASED;
    if (!read_number(reader, 365, &number) ||
        (day->kind == UJ_RULE_JULIAN && number < 1))
      return false;
    day->day = (uint16_t)number;
  }
  day->time_s = DEFAULT_TIME_S;
  return !skip(reader, '/') || read_time(reader, MAX_TIME_HOURS, &day->time_s);
}

/* Reads an offset. POSIX counts them westward (local time plus the offset is
 * UTC), and we count them eastward. */
static bool read_offset(struct reader *reader, int32_t *offset_s)
{
  if (!read_time(reader, MAX_OFFSET_HOURS, offset_s))
    return false;
  *offset_s = -*offset_s;
  return true;
}

bool uj_rule_parse(struct uj_rule *rule, const char *text, size_t size)
{
  struct reader reader = {text, text + size};
  memset(rule, 0, sizeof(*rule));
  if (!read_name(&reader, rule->std_name) ||
      !read_offset(&reader, &rule->std_offset_s))
    return false;
  if (reader.at == reader.end)
    return true;
  rule->has_dst = true;
  rule->dst_offset_s = rule->std_offset_s + HOUR_S;
  if (!read_name(&reader, rule->dst_name))
    return false;
  if (!next_is(&reader, ',') && !read_offset(&reader, &rule->dst_offset_s))
    return false;
  return skip(&reader, ',') && read_day(&reader, &rule->begin) &&
         skip(&reader, ',') && read_day(&reader, &rule->end) &&
         reader.at == reader.end;
}

/* The day of the month of the given weekday in the given week. */
static uint8_t weekday_in_month(const struct uj_rule_day *day, int32_t year)
{
  struct uj_date first = {year, day->month, 1};
  unsigned of_first = uj_weekday_of_days(uj_days_of_date(first));
  unsigned number =
      1 + (day->weekday + 7U - of_first) % 7 + (day->week - 1U) * 7;
  if (number > uj_month_length(year, day->month))
    number -= 7;
  return (uint8_t)number;
}

static int64_t days_in(const struct uj_rule_day *day, int32_t year)
{
  struct uj_date date = {year, 1, 1};
  switch (day->kind) {
  case UJ_RULE_MONTH:
    date.month = day->month;
    date.day = weekday_in_month(day, year);
    return uj_days_of_date(date);
  case UJ_RULE_JULIAN: /* 60 is 1 March in every year */
    return uj_days_of_date(date) + day->day - 1 +
           (day->day >= 60 && uj_is_leap(year));
  default:
    return uj_days_of_date(date) + day->day;
  }
}

int64_t uj_rule_begin_in(const struct uj_rule *rule, int32_t year)
{
  return days_in(&rule->begin, year) * UJ_DAY_S + rule->begin.time_s -
         rule->std_offset_s;
}

int64_t uj_rule_end_in(const struct uj_rule *rule, int32_t year)
{
  return days_in(&rule->end, year) * UJ_DAY_S + rule->end.time_s -
         rule->dst_offset_s;
}
