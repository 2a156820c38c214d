#include "calendar/pattern.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum field { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, YEAR, FIELDS };

struct kind {
  const char *name;
  int min, max;
  const char *words; /* of three letters, for the numbers from `min` on */
};

static const struct kind kinds[FIELDS] = {
    [SECOND] = {"second", 0, 59, ""},
    [MINUTE] = {"minute", 0, 59, ""},
    [HOUR] = {"hour", 0, 23, ""},
    [DAY] = {"day of month", 1, 31, ""},
    [MONTH] = {"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"},
    [WEEKDAY] = {"day of week", 0, 7, "SUNMONTUEWEDTHUFRISAT"},
    [YEAR] = {"year", UJ_CRON_YEAR_MIN, UJ_CRON_YEAR_MAX, ""},
};

/* What is being read, and what it comes to. */
struct parser {
  struct uj_cron *cron;
  const char *text; /* the whole pattern */
  const char *end;
  const char *at;
  const char *field_end;
  enum field field;
  char *message;
};

/* Says what is wrong, and at which character. Returns false. */
__attribute__((format(printf, 3, 4))) static bool
fail(struct parser *parser, const char *at, const char *format, ...)
{
  char text[UJ_CRON_MESSAGE_SIZE];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  if (at == NULL)
    snprintf(parser->message, UJ_CRON_MESSAGE_SIZE, "%s", text);
  else
    snprintf(parser->message, UJ_CRON_MESSAGE_SIZE,
             "%s: %.80s, at character %zu", kinds[parser->field].name, text,
             (size_t)(at - parser->text) + 1);
  return false;
}

static bool is_space(char c)
{
  return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool next_is(const struct parser *parser, char wanted)
{
  return parser->at < parser->field_end && *parser->at == wanted;
}

static bool skip(struct parser *parser, char wanted)
{
  if (!next_is(parser, wanted))
    return false;
  parser->at++;
  return true;
}

/* ---- values ----------------------------------------------------------------
 */

/* The number of the word of three letters at `at`, or -1. */
static int find_word(const struct kind *kind, const char *at)
{
  const char *word = kind->words;
  for (int i = 0; *word != '\0'; i++, word += 3) {
    int n = 0;
    while (n < 3 && (at[n] & ~0x20) == word[n])
      n++;
    if (n == 3)
      return kind->min + i;
  }
  return -1;
}

static bool read_word(struct parser *parser, int *value)
{
  const char *begin = parser->at;
  int length = 0;
  while (begin + length < parser->field_end && is_letter(begin[length]))
    length++;
  *value = length == 3 ? find_word(&kinds[parser->field], begin) : -1;
  /* A weekday by its name can have the L of the last one behind it. */
  if (*value < 0 && length == 4 && begin[3] == 'L') {
    *value = find_word(&kinds[parser->field], begin);
    length = 3;
  }
  if (*value < 0)
    return fail(parser, begin, "'%.*s' is not known", length > 20 ? 20 : length,
                begin);
  parser->at += length;
  return true;
}

static bool read_digits(struct parser *parser, int *value)
{
  *value = 0;
  while (parser->at < parser->field_end && is_digit(*parser->at)) {
    if (*value < 100000)
      *value = *value * 10 + (*parser->at - '0');
    parser->at++;
  }
  return true;
}

/* Reads a number or a name, and checks its range. */
static bool read_value(struct parser *parser, int *value)
{
  const struct kind *kind = &kinds[parser->field];
  const char *begin = parser->at;
  if (begin == parser->field_end)
    return fail(parser, begin, "a value is missing");
  if (is_letter(*begin))
    return read_word(parser, value);
  if (!is_digit(*begin))
    return fail(parser, begin, "'%c' does not belong here",
                *begin >= 32 && *begin < 127 ? *begin : '?');
  (void)read_digits(parser, value);
  if (*value < kind->min || *value > kind->max)
    return fail(parser, begin, "%.*s is not in %d-%d",
                (int)(parser->at - begin > 10 ? 10 : parser->at - begin), begin,
                kind->min, kind->max);
  return true;
}

/* ---- what a value adds -----------------------------------------------------
 */

static void add(struct parser *parser, int value)
{
  struct uj_cron *cron = parser->cron;
  switch (parser->field) {
  case SECOND:
    cron->seconds |= UINT64_C(1) << value;
    break;
  case MINUTE:
    cron->minutes |= UINT64_C(1) << value;
    break;
  case HOUR:
    cron->hours |= UINT32_C(1) << value;
    break;
  case DAY:
    cron->days |= UINT32_C(1) << value;
    break;
  case MONTH:
    cron->months |= (uint16_t)(1U << value);
    break;
  case WEEKDAY:
    cron->weekdays |= (uint8_t)(1U << value % 7);
    break;
  default:
    value -= UJ_CRON_YEAR_MIN;
    cron->years[value / 64] |= UINT64_C(1) << value % 64;
  }
}

/* Reads `/n` if it is there. */
static bool read_step(struct parser *parser, int *step)
{
  const char *begin = parser->at;
  *step = 1;
  if (!skip(parser, '/'))
    return true;
  if (parser->at == parser->field_end || !is_digit(*parser->at))
    return fail(parser, begin, "a number is missing after '/'");
  (void)read_digits(parser, step);
  if (*step == 0)
    return fail(parser, begin + 1, "a step of 0 leads nowhere");
  return true;
}

static bool add_range(struct parser *parser, int first, int last)
{
  int step;
  if (!read_step(parser, &step))
    return false;
  for (int value = first; value <= last; value += step)
    add(parser, value);
  if (parser->field == HOUR)
    parser->cron->is_interval = true;
  return true;
}

/* After `*` or `?`. */
static bool add_all(struct parser *parser)
{
  bool restricted = next_is(parser, '/');
  if (parser->field == DAY && !restricted)
    parser->cron->any_day = true;
  if (parser->field == WEEKDAY && !restricted)
    parser->cron->any_weekday = true;
  /* Of the two numbers of Sunday, 0 begins the week. */
  return add_range(parser, kinds[parser->field].min,
                   parser->field == WEEKDAY ? 6 : kinds[parser->field].max);
}

/* After `first-`. */
static bool add_range_from(struct parser *parser, int first)
{
  const char *begin = parser->at;
  int last;
  if (!read_value(parser, &last))
    return false;
  if (parser->field == WEEKDAY && last == 0 && is_letter(*begin))
    last = 7;
  if (first > last)
    return fail(parser, begin, "the range ends before it begins");
  return add_range(parser, first, last);
}

/* After `weekday#`. */
static bool add_nth(struct parser *parser, int weekday)
{
  const char *begin = parser->at;
  int n = 0;
  if (!skip(parser, 'L')) {
    (void)read_digits(parser, &n);
    if (n < 1 || n > 5)
      return fail(parser, begin, "1 to 5, or L, is wanted after '#'");
  }
  parser->cron->nth_weekday[weekday % 7] |= (uint8_t)(1U << n);
  return true;
}

/* After a value: what makes more of it, or the value alone. */
static bool add_value(struct parser *parser, int value)
{
  if (skip(parser, '-'))
    return add_range_from(parser, value);
  if (next_is(parser, '/'))
    return fail(parser, parser->at, "a step needs '*' or a range before it");
  if (parser->field == WEEKDAY && skip(parser, '#'))
    return add_nth(parser, value);
  if (parser->field == WEEKDAY && skip(parser, 'L')) {
    parser->cron->nth_weekday[value % 7] |= 1;
    return true;
  }
  add(parser, value);
  return true;
}

/* One element of the list that a field is. */
static bool read_element(struct parser *parser)
{
  const char *begin = parser->at;
  int value = 0;
  if (skip(parser, '*'))
    return add_all(parser);
  if (next_is(parser, '?')) {
    if (parser->field != DAY && parser->field != WEEKDAY)
      return fail(parser, begin, "'?' is for days only");
    parser->at++;
    return add_all(parser);
  }
  if (parser->field == DAY && skip(parser, 'L')) {
    parser->cron->last_day = true;
    return true;
  }
  return read_value(parser, &value) && add_value(parser, value);
}

/* `15W` is a whole field. Returns whether it is one; its value is in range. */
static bool is_near_day(struct parser *parser, int *day)
{
  const char *begin = parser->at;
  if (parser->field != DAY || !is_digit(*begin))
    return false;
  (void)read_digits(parser, day);
  if (skip(parser, 'W') && parser->at == parser->field_end && *day >= 1 &&
      *day <= 31)
    return true;
  parser->at = begin;
  return false;
}

static bool read_field(struct parser *parser)
{
  int day;
  if (is_near_day(parser, &day)) {
    parser->cron->near_days = UINT32_C(1) << day;
    return true;
  }
  if (parser->field == WEEKDAY && skip(parser, '+'))
    parser->cron->both = true;
  do {
    if (!read_element(parser))
      return false;
    if (next_is(parser, 'W') && parser->field == DAY)
      return fail(parser, parser->at, "'W' goes with a single day only");
    if (parser->at < parser->field_end && *parser->at != ',')
      return fail(parser, parser->at, "'%c' does not belong here",
                  *parser->at >= 32 && *parser->at < 127 ? *parser->at : '?');
  } while (skip(parser, ','));
  return true;
}

/* ---- the whole -------------------------------------------------------------
 */

/* Sets `at` and `field_end` to the next field; false when there is none. */
static bool find_field(struct parser *parser)
{
  while (parser->at < parser->end && is_space(*parser->at))
    parser->at++;
  parser->field_end = parser->at;
  while (parser->field_end < parser->end && !is_space(*parser->field_end))
    parser->field_end++;
  return parser->field_end > parser->at;
}

static unsigned count_fields(struct parser parser)
{
  unsigned count = 0;
  for (; find_field(&parser); parser.at = parser.field_end)
    count++;
  return count;
}

static bool parse_fields(struct parser *parser)
{
  unsigned count = count_fields(*parser);
  if (count < 5 || count > 7)
    return fail(parser, NULL,
                "%u fields, but 5 are wanted (minute, hour, day of month, "
                "month, day of week), 6 with seconds, 7 with years",
                count);
  if (count == 5)
    parser->cron->seconds = 1;
  if (count < 7)
    memset(parser->cron->years, 0xff, sizeof(parser->cron->years));
  parser->field = count == 5 ? MINUTE : SECOND;
  for (; find_field(parser); parser->field++) {
    if (!read_field(parser))
      return false;
  }
  return true;
}

static const char *const nicknames[][2] = {
    {"@yearly", "0 0 1 1 *"},  {"@annually", "0 0 1 1 *"},
    {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
    {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

/* The pattern that a nickname stands for; NULL for an unknown one. */
static const char *find_nickname(const struct parser *parser)
{
  size_t length = (size_t)(parser->field_end - parser->at);
  for (size_t i = 0; i < sizeof(nicknames) / sizeof(*nicknames); i++) {
    if (strlen(nicknames[i][0]) == length &&
        memcmp(nicknames[i][0], parser->at, length) == 0)
      return nicknames[i][1];
  }
  return NULL;
}

static bool parse_nickname(struct parser *parser)
{
  const char *pattern = find_nickname(parser);
  size_t length = (size_t)(parser->field_end - parser->at);
  if (length == 7 && memcmp(parser->at, "@reboot", 7) == 0)
    return fail(parser, NULL, "@reboot is not supported: it names no time");
  if (pattern == NULL)
    return fail(parser, NULL, "'%.*s' is no nickname",
                (int)(length > 20 ? 20 : length), parser->at);
  if (count_fields(*parser) > 1)
    return fail(parser, NULL, "a nickname stands alone");
  parser->at = parser->text = pattern;
  parser->end = pattern + strlen(pattern);
  return parse_fields(parser);
}

bool uj_cron_parse(struct uj_cron *cron, const char *text, size_t size,
                   char message[UJ_CRON_MESSAGE_SIZE])
{
  struct parser parser = {
      .cron = cron,
      .text = text,
      .end = text + size,
      .at = text,
      .message = message,
  };
  memset(cron, 0, sizeof(*cron));
  message[0] = '\0';
  if (find_field(&parser) && *parser.at == '@') {
    if (!parse_nickname(&parser))
      return false;
  } else if (!parse_fields(&parser))
    return false;
  if (uj_cron_at_or_after(cron, 0) == UJ_CRON_NEVER)
    return fail(&parser, NULL, "never matches before 2200");
  return true;
}
