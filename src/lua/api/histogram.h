/* What modules in Lua see of a histogram of durations: userdata
 * `uvjobs.Histogram`. */
#ifndef UJ_LUA_HISTOGRAM_H
#define UJ_LUA_HISTOGRAM_H

#include <lauxlib.h>
#include <lua.h>

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_lhistogram_register(lua_State *L);

/* histogram(): an empty one. Its methods, of which none suspends:
 *   record(seconds)  adds a duration
 *   merge(other)     adds all of another one
 *   halve()          lets what was added so far count half as much in quantiles
 *   count(), mean(), max()
 *   quantile(q)      seconds; 0 when it is empty, as for the two above
 *   size()           bytes */
extern const luaL_Reg uj_lhistogram_internals[];

#endif
