/* The bridge from callbacks to jobs: uvjobs.await(start). */
#ifndef UJ_LUA_AWAIT_H
#define UJ_LUA_AWAIT_H

#include <lauxlib.h>
#include <lua.h>

/* [-0, +0, m] Registers the metatable; the state is on the top. */
void uj_await_register(lua_State *L);

/* uvjobs.await(start) */
extern const luaL_Reg uj_await_functions[];

#endif
