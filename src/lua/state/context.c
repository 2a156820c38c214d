#include "lua/state/context.h"

#include <lauxlib.h>

#include "lua/state/job.h"

void uj_context_inherit(struct uj_state *S, lua_State *L, struct uj_ljob *job)
{
  uj_ljob_push(S, L, S->current);
  uj_ljob_get_extra(L, -1, "context");
  lua_remove(L, -2);
  uj_ljob_set_extra(L, -2, "context");
  job->has_context = true;
}

static int l_get_context(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (S->current == NULL || !S->current->has_context) {
    lua_pushnil(L);
    return 1;
  }
  uj_ljob_push(S, L, S->current);
  uj_ljob_get_extra(L, -1, "context");
  return 1;
}

static int l_set_context(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (S->current == NULL)
    return luaL_error(L, "'context' must be set in a job");
  lua_settop(L, 1);
  uj_ljob_push(S, L, S->current);
  lua_insert(L, 1);
  uj_ljob_set_extra(L, 1, "context");
  S->current->has_context = true;
  return 0;
}

const luaL_Reg uj_context_internals[] = {{"get_context", l_get_context},
                                         {"set_context", l_set_context},
                                         {NULL, NULL}};
