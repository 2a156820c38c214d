/* The job that runs: current(), and what Lua code must know of the job that
 * calls it before it suspends that. */
#ifndef UJ_LUA_CURRENT_H
#define UJ_LUA_CURRENT_H

#include <lauxlib.h>

extern const luaL_Reg uj_current_functions[];

/* can_suspend(): whether the code that runs could suspend a job.
 *
 * check_suspend(name, level): raises when the function `name` cannot suspend
 * where it is called. The message blames the caller at that level, as error()
 * does.
 *
 * interrupted(): whether a call that suspends would raise here and now, because
 * the job is cancelled, out of time or being killed.
 *
 * is_cancelled(): whether the job was cancelled, even if it is protected.
 *
 * enter(name): for a function that suspends in jobs only. Returns nil outside
 * of jobs; true where it can suspend; false where it could, but the next call
 * that suspends raises, as the job is to end. Otherwise it raises, and the
 * message blames the caller of the function.
 *
 * grace(seconds): how long the job may wait for something that it closes, so
 * that time is left for itself: `seconds` or less. */
extern const luaL_Reg uj_current_internals[];

#endif
