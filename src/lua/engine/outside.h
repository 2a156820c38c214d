/* Calls of functions of the user that run between the jobs and not in one:
 * exception handlers, and what a scheduler calls when a job starts or ends. */
#ifndef UJ_LUA_ENGINE_OUTSIDE_H
#define UJ_LUA_ENGINE_OUTSIDE_H

#include <lua.h>

#include "lua/state/state.h"

/* [-(nargs + 1), +(0|1), -] lua_pcall() without results, outside of any job:
 * the current job, if there is one, stands still meanwhile. */
int uj_outside_pcall(struct uj_state *S, lua_State *L, int nargs);

#endif
