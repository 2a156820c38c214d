/* What Lua sees of a scheduler: `uvjobs.Scheduler`. */
#ifndef UJ_LUA_SCHEDULER_H
#define UJ_LUA_SCHEDULER_H

#include <lauxlib.h>
#include <lua.h>

/* uvjobs.scheduler([opts]) */
extern const luaL_Reg uj_scheduler_functions[];

/* set_default_timeslice(seconds): from now on schedulers of this Lua state that
 * ask for none get that one. */
extern const luaL_Reg uj_scheduler_internals[];

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_scheduler_register(lua_State *L);

#endif
