#include "lua/api/checks.h"

#include <math.h>

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

/* nearest(key, known): the key of the table that was meant; nil when none is
 * near enough. */
static int l_nearest(lua_State *L)
{
  struct uj_nearest nearest = uj_nearest_to(luaL_checkstring(L, 1));
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    if (lua_type(L, -2) == LUA_TSTRING)
      uj_nearest_try(&nearest, lua_tostring(L, -2)); /* the table keeps it */
    lua_pop(L, 1);
  }
  if (uj_nearest_is_near(&nearest))
    lua_pushstring(L, nearest.name);
  else
    lua_pushnil(L);
  return 1;
}

const luaL_Reg uj_checks_internals[] = {{"check_timeout", l_check_timeout},
                                        {"typename", l_typename},
                                        {"nearest", l_nearest},
                                        {NULL, NULL}};
