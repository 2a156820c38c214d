/* Calls of functions of the user that run between the jobs and not in one:
 * exception handlers, and what a scheduler calls when a job starts or ends. */
#ifndef UJ_LUA_ENGINE_OUTSIDE_H
#define UJ_LUA_ENGINE_OUTSIDE_H

#include <lua.h>

#include "lua/state/state.h"

/* [-(nargs + 1), +(0|1), -] lua_pcall() without results, outside of any job:
 * the current job, if there is one, stands still meanwhile. Where the
 * interpreter's handler of SIGINT could interrupt the function, that is called
 * in a coroutine of its own, so that an error of the interpreter's hook is not
 * taken for one of the function: it is the error of this call. */
int uj_outside_pcall(struct uj_state *S, lua_State *L, int nargs);

#endif
