/* What a cron pattern says of local times. pattern.h makes it from a text. */
#ifndef UJ_CALENDAR_CRON_H
#define UJ_CALENDAR_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UJ_CRON_YEAR_MIN 1970
#define UJ_CRON_YEAR_MAX 2199
#define UJ_CRON_NEVER INT64_MIN

enum { UJ_CRON_YEAR_WORDS = 4 };

/* What the fields match; bit n stands for the value n. */
struct uj_cron {
  uint64_t seconds;
  uint64_t minutes;
  uint64_t years[UJ_CRON_YEAR_WORDS]; /* bit n: 1970 + n */
  uint32_t hours;
  uint32_t days;          /* of the month, 1 to 31 */
  uint32_t near_days;     /* the weekday that is closest to such a day: W */
  uint16_t months;        /* 1 to 12 */
  uint8_t weekdays;       /* 0, Sunday, to 6 */
  uint8_t nth_weekday[7]; /* for each weekday: bit n for its n-th occurrence in
                             the month, bit 0 for the last one */
  bool last_day;          /* of the month */
  bool any_day;           /* the field for the day of the month is * */
  bool any_weekday;
  bool both;        /* day and weekday must match, not one of them */
  bool is_interval; /* its hours are given by *, a range or a step: it goes on
                       by elapsed time where the clock jumps */
};

/* The first local time that matches and is not before `local_s`; the last one
 * that is not after it. UJ_CRON_NEVER when there is none. */
int64_t uj_cron_at_or_after(const struct uj_cron *cron, int64_t local_s);
int64_t uj_cron_at_or_before(const struct uj_cron *cron, int64_t local_s);

#endif
