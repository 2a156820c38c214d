/* Closing a scheduler, and waiting for it. */
#ifndef UJ_LUA_CLOSING_H
#define UJ_LUA_CLOSING_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

struct uj_closing {
  uint64_t nlimited; /* calls of wait_and_close() with a limit that wait, at
                        least: one whose coroutine was closed by somebody else
                        still counts */
};

/* [-0, +0, -] The limit has passed of a job's wait_and_close(), and the
 * scheduler is about to be closed on its behalf: the handler is told. */
void uj_closing_late(struct uj_state *S, struct uj_ljob *job);

/* [-0, +(0|1), -] Whether the job is in a wait_and_close() with a limit of
 * which nobody has been told that nothing else ends it; the next time, somebody
 * has. Pushes the scheduler then. */
bool uj_closing_note_stuck(struct uj_state *S, lua_State *L,
                           const struct uj_ljob *job);

/* Methods of a scheduler: close() and wait_and_close([timeout]). */
int uj_closing_close(lua_State *L);
int uj_closing_wait_and_close(lua_State *L);

/* For the library's Lua files; each takes the scheduler first.
 *   begin_close     closes it without waiting;
 *   close_quietly   close() that leaves the error of a nursery where it is;
 *   wait_and_leave  wait_and_close([timeout]) of a caller that is sure to close
 *                   it: when the wait is interrupted, the scheduler is closed
 *                   even before the caller runs;
 *   wait_until_idle waits until no job is left, without closing it in the end
 *                   or raising the error of a nursery; closes it, too, when the
 *                   wait is interrupted;
 *   wake_idle       ends the wait of all jobs that are in wait_until_idle.
 */
extern const luaL_Reg uj_closing_internals[];

#endif
