/* Closing a scheduler, and waiting for it. */
#ifndef UJ_LUA_CLOSING_H
#define UJ_LUA_CLOSING_H

#include <lauxlib.h>
#include <lua.h>

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
