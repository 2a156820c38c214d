/* The date: seconds since 1970, which people and the network set, and which
 * therefore can jump. The monotonic clock, by which the core waits, does not.
 * What waits for a date translates it, and does so again after each step.
 *
 * While anything waits for a date, steps are looked for whenever the loop
 * polls; and on systems that tell of a step it also ends the waiting. Elsewhere
 * a wait for a date is cut into minutes. Under the virtual clock the date moves
 * with the clock, and steps only when a test sets it. */
#ifndef UJ_LUA_API_DATE_H
#define UJ_LUA_API_DATE_H

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/waitq.h"
#include "lua/base/args.h"
#include "lua/state/state.h"

/* 2000-01-01 00:00 UTC: the date at which a virtual clock starts. */
#define UJ_DATE_VIRTUAL_NS UINT64_C(946684800000000000)

struct uj_date {
  int64_t base_ns; /* under the virtual clock: the date at its time 0 */
  uint64_t gap_ns; /* date minus monotonic time, when last looked at; modulo
                      2^64 */
  struct uj_waitq sleepers; /* jobs in sleep_until() */
  bool is_watched;          /* something waits for a date of the system */
  bool is_told;             /* the system tells of steps */
};

void uj_date_init(struct uj_state *S);

/* The virtual clock is at `now_ns`, and the date is `date_ns`. */
void uj_date_begin_virtual(struct uj_state *S, uint64_t date_ns);

/* The loops that take turns with this one have that date: see uj_turns_date().
 */
void uj_date_follow(struct uj_state *S, int64_t base_ns);

/* Nanoseconds since 1970. */
uint64_t uj_date_now(struct uj_state *S);

/* Nanoseconds since 1970 as seconds. */
lua_Number uj_date_to_seconds(uint64_t date_ns);
/* Seconds since 1970, which are within uj_date_is_good(), rounded up. */
uint64_t uj_date_from_seconds(lua_Number time_s);
/* Whether seconds since 1970 are a date up to the end of the year 2199. */
bool uj_date_is_good(lua_Number time_s);

/* The monotonic time at which to look whether a date has come: it may not have
 * yet, because the two clocks do not run at quite the same rate. */
uint64_t uj_date_due(struct uj_state *S, uint64_t date_ns);

/* Begins or ends to watch the date of the system: called when a first thing
 * waits for a date, or the last has gone. */
void uj_date_watch(struct uj_state *S);

void uj_date_look_now(struct uj_state *S);
/* After a poll: whether the date has been set. */
static inline void uj_date_look(struct uj_state *S, const struct uj_date *date)
{
  if (date->is_watched)
    uj_date_look_now(S);
}

/* time() and sleep_until(time). */
extern const luaL_Reg uj_date_functions[];

/* For testing.lua: set_date(time), under the virtual clock. */
extern const luaL_Reg uj_date_internals[];

#endif
