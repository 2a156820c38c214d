#include "lua/state/state.h"

#include <lauxlib.h>

const char uj_state_key;

struct uj_state *uj_state(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, lua_upvalueindex(1));
  if (S->dead)
    luaL_error(L, "the Lua state is closing: uvjobs has ended");
  return S;
}

struct uj_state *uj_state_registered(lua_State *L)
{
  struct uj_state *S;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &uj_state_key);
  S = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return S;
}

struct uj_ljob *uj_state_job(struct uj_state *S, uint32_t slot)
{
  struct uj_ljob *job;
  uj_slots_push(&S->jobs, S->hub, slot);
  job = lua_touserdata(S->hub, -1);
  lua_pop(S->hub, 1);
  return job;
}

void uj_state_keep_error(struct uj_state *S, lua_State *L)
{
  if (uj_hub_is_nil(S->hub, UJ_HUB_ERROR))
    uj_hub_set(S->hub, L, UJ_HUB_ERROR);
  else
    lua_pop(L, 1);
}

bool uj_state_keep_hook_error(struct uj_state *S, lua_State *L, int status)
{
  if (status == LUA_ERRMEM) {
    lua_pop(L, 1);
    return false;
  }
  uj_state_keep_error(S, L);
  return true;
}

int uj_state_raise_kept(struct uj_state *S, lua_State *L)
{
  uj_hub_push(S->hub, L, UJ_HUB_ERROR);
  uj_hub_clear(S->hub, UJ_HUB_ERROR);
  return lua_error(L);
}
