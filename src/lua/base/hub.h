/* A hub is a coroutine that is never resumed: C keeps Lua values on its stack,
 * where they are not collected. A value has a place on it, which is its index.
 *
 * The stack above is a scratchpad for when no Lua function of ours is running.
 * Only what cannot fail may be done on it: there is no protected call. */
#ifndef UJ_LUA_HUB_H
#define UJ_LUA_HUB_H

#include <lua.h>
#include <stdbool.h>

/* [-1, +0, m] Gives the value on the top of L a place for good; returns the
 * place. */
int uj_hub_keep(lua_State *hub, lua_State *L);

/* [-1, +0, -] Replaces what is kept at a place. */
void uj_hub_set(lua_State *hub, lua_State *L, int place);

/* [-0, +0, -] The same by nil. */
void uj_hub_clear(lua_State *hub, int place);

static inline bool uj_hub_is_nil(lua_State *hub, int place)
{
  return lua_isnil(hub, place);
}

/* [-0, +1, -] Pushes what is kept at a place. */
static inline void uj_hub_push(lua_State *hub, lua_State *L, int place)
{
  lua_pushvalue(hub, place);
  lua_xmove(hub, L, 1);
}

#endif
