/* What Lua code sees of a histogram of durations: userdata `uvjobs.Histogram`.
 * Programs get copies of those of a scheduler. */
#ifndef UJ_LUA_HISTOGRAM_H
#define UJ_LUA_HISTOGRAM_H

#include <lauxlib.h>
#include <lua.h>

#include "measure/histogram.h"

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_lhistogram_register(lua_State *L);

/* [-0, +1, m] Pushes a copy. */
void uj_lhistogram_push(lua_State *L, const struct uj_histogram *histogram);

/* histogram(): an empty one. Its methods, of which none suspends:
 *   record(seconds)  adds a duration
 *   merge(other)     adds all of another one
 *   halve()          lets what was added so far count half as much in quantiles
 *   quantile(q)      seconds; 0 when it is empty, as for the two above
 *   size()           bytes
 * Its properties are count, sum, mean and max. */
extern const luaL_Reg uj_lhistogram_internals[];

#endif
