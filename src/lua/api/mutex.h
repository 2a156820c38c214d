/* What Lua sees of a mutex: `uvjobs.Mutex`. */
#ifndef UJ_LUA_MUTEX_H
#define UJ_LUA_MUTEX_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* uvjobs.mutex() */
extern const luaL_Reg uj_lmutex_functions[];

/* [-0, +0, -] Unlocks all mutexes that an ended job holds; returns their
 * number. */
int uj_lmutex_unlock_all(struct uj_state *S, struct uj_ljob *job);

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_lmutex_register(lua_State *L);

#endif
