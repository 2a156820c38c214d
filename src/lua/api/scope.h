/* Calls under a deadline, calls that nothing may interrupt, and calls that the
 * failure of a nursery does. */
#ifndef UJ_LUA_SCOPE_H
#define UJ_LUA_SCOPE_H

#include <lauxlib.h>
#include <lua.h>

/* [-0, +0, m] Registers the metatable; the state is on the top. */
void uj_scope_register(lua_State *L);

/* uvjobs.timeout(seconds, fn, ...) and uvjobs.protect(fn, ...) */
extern const luaL_Reg uj_scope_functions[];

/* For the library's Lua files: in_nursery(scheduler, fn) calls fn(scheduler) in
 * a scope that is interrupted when the scheduler, a nursery, fails. */
extern const luaL_Reg uj_scope_internals[];

#endif
