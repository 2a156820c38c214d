#include "lua/api/time.h"

#include "core/job.h"
#include "lua/base/args.h"
#include "lua/base/seconds.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"
#include "lua/state/state.h"

/* sleep(seconds) */
static int l_sleep(lua_State *L)
{
  static const struct uj_callee callee = {"sleep", 0};
  struct uj_state *S = uj_state(L);
  uint64_t span_ns = uj_arg_finite_seconds(L, &callee, 1);
  struct uj_ljob *self = uj_suspend_check(S, L, callee.name);
  return uj_suspend(L, self, NULL, uj_suspend_due(S, span_ns), UJ_LOP_SLEEP,
                    uj_suspend_return_nothing);
}

/* yield() */
static int l_yield(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_ljob *self = uj_suspend_check(S, L, "yield");
  uj_job_yield(&self->core);
  return lua_yieldk(L, 0, (lua_KContext)S, uj_suspend_return_nothing);
}

/* now() */
static int l_now(lua_State *L)
{
  uj_seconds_push(L, uj_loop_now(&uj_state(L)->loop));
  return 1;
}

/* remaining() */
static int l_remaining(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  uint64_t due_ns = UJ_NEVER, now_ns;
  if (S->current != NULL)
    due_ns = S->current->core.deadline_ns;
  if (due_ns == UJ_NEVER) {
    lua_pushnil(L);
    return 1;
  }
  now_ns = uj_loop_now(&S->loop);
  uj_seconds_push(L, due_ns > now_ns ? due_ns - now_ns : 0);
  return 1;
}

static int l_clock(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_pushinteger(L, (lua_Integer)uj_loop_now(&S->loop));
  lua_pushinteger(L, (lua_Integer)uj_state_clock(S));
  return 2;
}

const luaL_Reg uj_time_internals[] = {{"clock", l_clock}, {NULL, NULL}};

const luaL_Reg uj_time_functions[] = {{"sleep", l_sleep},
                                      {"yield", l_yield},
                                      {"now", l_now},
                                      {"remaining", l_remaining},
                                      {NULL, NULL}};
