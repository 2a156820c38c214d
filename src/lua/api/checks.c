#include "lua/api/checks.h"

#include <math.h>
#include <stdint.h>

#include "lua/base/args.h"
#include "lua/base/nearest.h"

static int l_check_timeout(lua_State *L)
{
  const char *wrong;
  if (lua_isnil(L, 1) ||
      (lua_type(L, 1) == LUA_TNUMBER && lua_tonumber(L, 1) == HUGE_VAL))
    return 0;
  wrong = uj_arg_push_wrong_seconds(L, 1);
  if (wrong == NULL)
    return 0;
  luaL_where(L, (int)luaL_checkinteger(L, 4));
  lua_pushfstring(L, "bad argument #%d to '%s' (%s)",
                  (int)luaL_checkinteger(L, 2), luaL_checkstring(L, 3), wrong);
  lua_concat(L, 2);
  return lua_error(L);
}

static int l_typename(lua_State *L)
{
  lua_pushstring(L, uj_arg_typename(L, 1));
  return 1;
}

static int l_nearest(lua_State *L)
{
  const char *key = luaL_checkstring(L, 1);
  size_t least = SIZE_MAX;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_pushnil(L); /* the best, at 3 */
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    size_t distance = lua_type(L, -2) == LUA_TSTRING
                          ? uj_nearest_distance(key, lua_tostring(L, -2))
                          : SIZE_MAX;
    lua_pop(L, 1);
    if (distance < least) {
      least = distance;
      lua_copy(L, -1, 3);
    }
  }
  lua_settop(L, 3);
  return 1;
}

const luaL_Reg uj_checks_internals[] = {{"check_timeout", l_check_timeout},
                                        {"typename", l_typename},
                                        {"nearest", l_nearest},
                                        {NULL, NULL}};
