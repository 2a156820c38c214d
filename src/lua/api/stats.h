/* uvjobs.stats(): what the loop has done, and what it holds. */
#ifndef UJ_LUA_STATS_H
#define UJ_LUA_STATS_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/state/state.h"

/* [-0, +0, -] The longest stretch is sought anew. */
void uj_stats_forget_longest(struct uj_state *S);

/* uvjobs.stats() */
extern const luaL_Reg uj_stats_functions[];

#endif
