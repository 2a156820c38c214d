/* The Lua side of an event: userdata `uvjobs.Event`. */
#ifndef UJ_LUA_EVENT_H
#define UJ_LUA_EVENT_H

#include <lua.h>

#define UJ_EVENT_TYPE "uvjobs.Event"

/* uvjobs.event() */
int uj_event_event(lua_State *L);

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_event_open(lua_State *L);

#endif
