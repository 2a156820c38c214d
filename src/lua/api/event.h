/* What Lua sees of an event: `uvjobs.Event`. */
#ifndef UJ_LUA_EVENT_H
#define UJ_LUA_EVENT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_levent_register(lua_State *L);

/* Notes that the event at idx is watched; returns false when that is no event.
 */
bool uj_levent_watch(lua_State *L, int idx);

/* uvjobs.event() */
extern const luaL_Reg uj_levent_functions[];

/* wait_until(event, time): waits for an event that is not set, as its method
 * does, but until a time of the clock in nanoseconds. */
extern const luaL_Reg uj_levent_internals[];

#endif
