#include "lua/base/text.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

/* (value) */
static int to_text(lua_State *L)
{
  luaL_tolstring(L, 1, NULL);
  return 1;
}

const char *uj_text_push(lua_State *L, int idx, const char *instead)
{
  idx = lua_absindex(L, idx);
  lua_pushcfunction(L, to_text);
  lua_pushvalue(L, idx);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK)
    return lua_tostring(L, -1);
  lua_pop(L, 1);
  return lua_pushfstring(L, instead, luaL_typename(L, idx));
}

void uj_text_write_error(const char *format, ...)
{
  va_list args;
  va_start(args, format);
  (void)vfprintf(stderr, format, args);
  va_end(args);
  (void)fflush(stderr);
}
