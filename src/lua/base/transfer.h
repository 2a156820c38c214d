/* What goes from one coroutine to another, as in Lua's own library and with its
 * messages: arguments, results, and errors. */
#ifndef UJ_LUA_BASE_TRANSFER_H
#define UJ_LUA_BASE_TRANSFER_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* [-n, +0, -] Moves the arguments on the top into a coroutine that is to be
 * resumed. [-0, +1, m] When it has no room for them, pushes the error and
 * returns false. */
static inline bool uj_transfer_arguments(lua_State *L, lua_State *co, int n)
{
  if (!lua_checkstack(co, n)) {
    lua_pushliteral(L, "too many arguments to resume");
    return false;
  }
  lua_xmove(L, co, n);
  return true;
}

/* [-0, +n, -] Moves the results of a coroutine that has come back. [-0, +1, m]
 * When there is no room for them and one value more, drops them, pushes the
 * error and returns false. */
static inline bool uj_transfer_results(lua_State *L, lua_State *co, int n)
{
  if (!lua_checkstack(L, n + 1)) {
    lua_pop(co, n);
    lua_pushliteral(L, "too many results to resume");
    return false;
  }
  lua_xmove(co, L, n);
  return true;
}

/* [-1, +0, v] Raises the error on the top of a coroutine that a function of
 * wrap() has resumed. A text gets the place of the call in front, unless
 * `status` is LUA_ERRMEM. */
static inline int uj_transfer_raise(lua_State *L, int status)
{
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

/* [-0, +(1|2), -] What close() returns: true; or false and the error, which is
 * on the top of the coroutine. */
static inline int uj_transfer_closed(lua_State *L, lua_State *co, int status)
{
  lua_pushboolean(L, status == LUA_OK);
  if (status == LUA_OK)
    return 1;
  lua_xmove(co, L, 1);
  return 2;
}

#endif
