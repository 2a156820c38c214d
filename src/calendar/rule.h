/* The rule by which a zone goes on after its last transition: the TZ string of
 * POSIX with the extension of RFC 9636 that a time may be -167 to 167 hours. */
#ifndef UJ_CALENDAR_RULE_H
#define UJ_CALENDAR_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UJ_RULE_NAME_MAX = 15 };

/* A day of each year, and a time on it. */
struct uj_rule_day {
  enum { UJ_RULE_JULIAN, UJ_RULE_ZERO_BASED, UJ_RULE_MONTH } kind;
  uint16_t day;  /* JULIAN: 1 to 365, never 29 February; ZERO_BASED: 0 to 365 */
  uint8_t month; /* MONTH: the weekday ... */
  uint8_t week;  /* ... of the 1st to 4th week of the month; 5 for the last */
  uint8_t weekday;
  int32_t time_s; /* on the wall clock before the change */
};

struct uj_rule {
  char std_name[UJ_RULE_NAME_MAX + 1];
  char dst_name[UJ_RULE_NAME_MAX + 1];
  int32_t std_offset_s; /* local time minus UTC */
  int32_t dst_offset_s;
  bool has_dst;
  struct uj_rule_day begin; /* of daylight saving time */
  struct uj_rule_day end;
};

/* Reads a TZ string of `size` bytes. Returns false when it is none. */
bool uj_rule_parse(struct uj_rule *rule, const char *text, size_t size);

/* The instants at which daylight saving time begins and ends in a year. */
int64_t uj_rule_begin_in(const struct uj_rule *rule, int32_t year);
int64_t uj_rule_end_in(const struct uj_rule *rule, int32_t year);

#endif
