/* What differs between the releases of Lua 5.4, and nothing else. */
#ifndef UJ_LUA_COMPAT_H
#define UJ_LUA_COMPAT_H

#include <lua.h>

#if LUA_VERSION_NUM != 504
#error "uvjobs needs Lua 5.4"
#endif

/* Ends a suspended or failed coroutine: runs its to-be-closed variables and
 * empties its stack, up to one error value. Returns LUA_OK or the status of a
 * variable's handler that failed. The handlers cannot suspend. */
static inline int uj_closethread(lua_State *co, lua_State *from)
{
#if LUA_VERSION_RELEASE_NUM >= 50406
  return lua_closethread(co, from);
#else
  (void)from;
  return lua_resetthread(co);
#endif
}

#endif
