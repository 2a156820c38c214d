/* scheduler:stats(): what has become of the jobs of a scheduler. */
#ifndef UJ_LUA_TOTALS_H
#define UJ_LUA_TOTALS_H

#include <lua.h>

int uj_totals_stats(lua_State *L);

#endif
