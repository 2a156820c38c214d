#include "lua/base/hub.h"

#include <lauxlib.h>

int uj_hub_keep(lua_State *hub, lua_State *L)
{
  if (!lua_checkstack(hub, 1 + LUA_MINSTACK))
    luaL_error(L, "not enough memory");
  lua_xmove(L, hub, 1);
  return lua_gettop(hub);
}

void uj_hub_set(lua_State *hub, lua_State *L, int place)
{
  lua_xmove(L, hub, 1);
  lua_replace(hub, place);
}

void uj_hub_clear(lua_State *hub, int place)
{
  lua_pushnil(hub);
  lua_replace(hub, place);
}
