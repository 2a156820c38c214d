/* Cron patterns as texts.
 *
 * The dialect is the Open Cron Pattern Specification (OCPS) 1.4 in full: five
 * fields, six with seconds in front, seven with a year behind; names, lists,
 * ranges, steps; nicknames; L, W, # and ?; days of the month and of the week
 * are joined by "or", and by "and" after a +. @reboot is understood, and
 * refused: nothing here starts a machine. */
#ifndef UJ_CALENDAR_PATTERN_H
#define UJ_CALENDAR_PATTERN_H

#include "calendar/cron.h"

enum { UJ_CRON_MESSAGE_SIZE = 128 };

/* Reads a pattern. Returns false, and what is wrong and where, when it is none,
 * or when it never matches. */
bool uj_cron_parse(struct uj_cron *cron, const char *text, size_t size,
                   char message[UJ_CRON_MESSAGE_SIZE]);

#endif
