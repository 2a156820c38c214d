/* uvjobs.stats(): what the loop has done, and what it holds. */
#ifndef UJ_LUA_STATS_H
#define UJ_LUA_STATS_H

#include <lauxlib.h>

/* uvjobs.stats() */
extern const luaL_Reg uj_stats_functions[];

#endif
