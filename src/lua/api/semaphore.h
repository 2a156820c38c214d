/* What Lua sees of a semaphore: `uvjobs.Semaphore`. */
#ifndef UJ_LUA_SEMAPHORE_H
#define UJ_LUA_SEMAPHORE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

/* uvjobs.semaphore(n) */
extern const luaL_Reg uj_lsemaphore_functions[];

/* [-0, +0, -] How many permits the semaphore at idx has, free or taken; 0 when
 * the value is none. */
uint64_t uj_lsemaphore_total(lua_State *L, int idx);

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_lsemaphore_register(lua_State *L);

#endif
