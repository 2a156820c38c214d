/* The bridge from callbacks to jobs: uvjobs.await(start). */
#ifndef UJ_LUA_AWAIT_H
#define UJ_LUA_AWAIT_H

#include <lua.h>

#define UJ_AWAIT_TYPE "uvjobs.Await"

/* uvjobs.await(start) */
int uj_await_await(lua_State *L);

/* [-0, +0, m] Registers the metatable; the state is on the top. */
void uj_await_register(lua_State *L);

#endif
