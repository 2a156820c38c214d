/* What Lua sees of a scheduler: `uvjobs.Scheduler`. */
#ifndef UJ_LUA_SCHEDULER_H
#define UJ_LUA_SCHEDULER_H

#include <lauxlib.h>
#include <lua.h>

/* uvjobs.scheduler([opts]) */
extern const luaL_Reg uj_scheduler_functions[];

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_scheduler_register(lua_State *L);

#endif
