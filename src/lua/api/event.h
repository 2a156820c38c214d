/* The Lua side of an event: userdata `uvjobs.Event`. */
#ifndef UJ_LUA_EVENT_H
#define UJ_LUA_EVENT_H

#include <lua.h>

#define UJ_EVENT_TYPE "uvjobs.Event"

/* uvjobs.event() */
int uj_levent_event(lua_State *L);

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_levent_register(lua_State *L);

#endif
