#include "lua/api/current.h"

#include "core/end.h"
#include "lua/base/args.h"
#include "lua/base/seconds.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"
#include "lua/state/state.h"

/* current() */
static int l_current(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (S->current == NULL)
    lua_pushnil(L);
  else
    uj_ljob_push(S, L, S->current);
  return 1;
}

static int l_can_suspend(lua_State *L)
{
  lua_pushboolean(L, uj_suspend_can(uj_state(L), L));
  return 1;
}

static int l_check_suspend(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (uj_suspend_can(S, L) || uj_suspend_is_killed(S, L)) {
    uj_suspend_check(S, L, "");
    return 0;
  }
  luaL_where(L, (int)luaL_checkinteger(L, 2));
  lua_pushfstring(L, "'%s' %s", luaL_checkstring(L, 1),
                  uj_suspend_refusal(S, L));
  lua_concat(L, 2);
  return lua_error(L);
}

static int l_interrupted(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_pushboolean(L, S->current != NULL && uj_suspend_needed(S->current));
  return 1;
}

static int l_is_cancelled(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_pushboolean(L, S->current != NULL && S->current->core.cancel);
  return 1;
}

static int l_grace(lua_State *L)
{
  static const struct uj_callee callee = {"grace", 0};
  struct uj_state *S = uj_state(L);
  uint64_t span_ns = uj_arg_seconds(L, &callee, 1);
  if (S->current != NULL)
    span_ns = uj_job_grace(&S->current->core, span_ns);
  uj_seconds_push(L, span_ns);
  return 1;
}

static int l_enter(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (S->current == NULL)
    lua_pushnil(L);
  else if (uj_suspend_can(S, L))
    lua_pushboolean(L, !uj_suspend_needed(S->current));
  else {
    lua_pushinteger(L, 3);
    return l_check_suspend(L);
  }
  return 1;
}

const luaL_Reg uj_current_functions[] = {{"current", l_current}, {NULL, NULL}};

const luaL_Reg uj_current_internals[] = {{"can_suspend", l_can_suspend},
                                         {"check_suspend", l_check_suspend},
                                         {"interrupted", l_interrupted},
                                         {"is_cancelled", l_is_cancelled},
                                         {"enter", l_enter},
                                         {"grace", l_grace},
                                         {NULL, NULL}};
