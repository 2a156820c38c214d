/* The Lua side of a queue: userdata `uvjobs.Queue`. */
#ifndef UJ_LUA_QUEUE_H
#define UJ_LUA_QUEUE_H

#include <lua.h>

#define UJ_QUEUE_TYPE "uvjobs.Queue"

/* uvjobs.queue([capacity]) */
int uj_lqueue_queue(lua_State *L);

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_lqueue_register(lua_State *L);

#endif
