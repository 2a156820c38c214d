/* Calls under a deadline, and calls that nothing may interrupt. */
#ifndef UJ_LUA_SCOPE_H
#define UJ_LUA_SCOPE_H

#include <lua.h>

#define UJ_SCOPE_TYPE "uvjobs.Scope"

/* uvjobs.timeout(seconds, fn, ...) */
int uj_scope_timeout(lua_State *L);
/* uvjobs.protect(fn, ...) */
int uj_scope_protect(lua_State *L);

/* [-0, +0, m] Registers the metatable; the state is on the top. */
void uj_scope_open(lua_State *L);

#endif
