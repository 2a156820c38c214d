#include "lua/base/alloc.h"

#include <lauxlib.h>

void *uj_alloc_resize(lua_State *L, void *block, size_t old_size,
                      size_t new_size)
{
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  void *result = alloc(ud, block, old_size, new_size);
  if (result == NULL)
    luaL_error(L, "not enough memory");
  return result;
}

void uj_alloc_free(lua_State *L, void *block, size_t size)
{
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  if (block != NULL)
    alloc(ud, block, size, 0);
}
