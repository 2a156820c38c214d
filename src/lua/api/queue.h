/* What Lua sees of a queue: `uvjobs.Queue`. */
#ifndef UJ_LUA_QUEUE_H
#define UJ_LUA_QUEUE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_lqueue_register(lua_State *L);

/* Notes that the queue at idx is watched; returns false when that is no queue.
 */
bool uj_lqueue_watch(lua_State *L, int idx);

/* uvjobs.queue([capacity]) */
extern const luaL_Reg uj_lqueue_functions[];

#endif
