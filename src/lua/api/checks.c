#include "lua/api/checks.h"

#include "lua/base/args.h"

static int l_check_timeout(lua_State *L)
{
  const char *wrong;
  if (lua_isnil(L, 1))
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

const luaL_Reg uj_checks_internals[] = {{"check_timeout", l_check_timeout},
                                        {"typename", l_typename},
                                        {"nearest", uj_arg_nearest},
                                        {NULL, NULL}};
