#include "lua/api/testing.h"

#include <lauxlib.h>

#include "core/end.h"
#include "core/job.h"
#include "core/sched.h"
#include "crew/turns.h"
#include "lua/base/args.h"
#include "lua/engine/ending.h"
#include "lua/engine/suspend.h"
#include "lua/engine/traceback.h"
#include "lua/state/job.h"

/* ---- what lives --------------------------------------------------------- */

static int l_jobs(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_Integer n = 0;
  lua_newtable(L);
  for (uint32_t slot = 1; slot < S->jobs.next; slot++) {
    struct uj_ljob *job = uj_ljob_live(S, slot);
    if (job == NULL)
      continue;
    uj_ljob_push(S, L, job);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

static int l_source(lua_State *L)
{
  (void)uj_ljob_self(L, "source");
  uj_ljob_get_extra(L, 1, "source");
  return 1;
}

static int l_is_virtual(lua_State *L)
{
  lua_pushboolean(L, uj_state(L)->is_virtual);
  return 1;
}

/* When the first of the loops goes on that take turns with this one. */
static uint64_t due_of_others(const struct uj_state *S)
{
  if (S->member == NULL || !S->is_virtual || !uj_turns_are_taken(S->member))
    return UJ_NEVER;
  return uj_turns_due(S->member);
}

static int l_is_settled(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  uint64_t now_ns = uj_loop_now(&S->loop);
  lua_pushboolean(L,
                  uj_loop_due(&S->loop) > now_ns && due_of_others(S) > now_ns);
  return 1;
}

/* due(seconds): the time so long from now, as a number that only step() reads.
 */
static int l_due(lua_State *L)
{
  static const struct uj_callee callee = {"due", 0};
  struct uj_state *S = uj_state(L);
  uint64_t span_ns = uj_arg_seconds(L, &callee, 1);
  lua_pushinteger(L, (lua_Integer)uj_suspend_due(S, span_ns));
  return 1;
}

/* Stack: due. */
static int stepped(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  (void)status;
  (void)ctx;
  (void)uj_suspend_result(S, L);
  lua_pushboolean(L, (uint64_t)lua_tointeger(L, 1) <= uj_loop_now(&S->loop));
  return 1;
}

/* step(due): sleeps until the next deadline of anybody, but not longer than
 * until this time. */
static int l_step(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  uint64_t due_ns = (uint64_t)luaL_checkinteger(L, 1);
  struct uj_ljob *self = uj_suspend_check(S, L, "step");
  lua_settop(L, 1);
  due_ns = uj_clock_min(due_ns, uj_timers_due(&S->loop.timers));
  due_ns = uj_clock_min(due_ns, due_of_others(S));
  return uj_suspend(L, self, NULL, due_ns, UJ_LOP_SLEEP, stepped);
}

static int l_set_handler(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_settop(L, 1);
  if (!lua_isnil(L, 1))
    luaL_checktype(L, 1, LUA_TFUNCTION);
  uj_hub_push(S->hub, L, UJ_HUB_HANDLER);
  lua_pushvalue(L, 1);
  uj_hub_set(S->hub, L, UJ_HUB_HANDLER);
  return 1;
}

static int l_on_deadline(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_settop(L, 1);
  uj_hub_set(S->hub, L, UJ_HUB_DEADLINE);
  return 0;
}

/* force_at(due) */
static int l_force_at(lua_State *L)
{
  uj_ending_force_at(uj_state(L), (uint64_t)luaL_checkinteger(L, 1));
  return 0;
}

/* ---- a fault ------------------------------------------------------------ */

void uj_testing_init(struct uj_state *S, lua_State *L)
{
  lua_pushnil(L);
  S->fault->place = uj_hub_keep(S->hub, L);
}

static int l_inject(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, "inject");
  lua_Integer at = luaL_checkinteger(L, 2);
  uj_hub_clear(S->hub, S->fault->place);
  S->fault->job = uj_job_ended(&job->core) ? NULL : job;
  S->fault->suspension = (uint32_t)at;
  S->fault->by_force = lua_toboolean(L, 3);
  return 0;
}

static int l_injected(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  uj_hub_push(S->hub, L, S->fault->place);
  return 1;
}

/* (job) */
static int keep_place(lua_State *L)
{
  struct uj_state *S = uj_state_registered(L);
  uj_traceback_push(L, 1);
  uj_hub_set(S->hub, L, S->fault->place);
  return 0;
}

void uj_testing_suspended(struct uj_state *S, struct uj_ljob *job)
{
  lua_State *L = S->L;
  if (job->resumes < S->fault->suspension)
    return;
  S->fault->job = NULL;
  lua_pushcfunction(L, keep_place);
  uj_ljob_push(S, L, job);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) /* no memory for a traceback */
    uj_hub_set(S->hub, L, S->fault->place);
  uj_job_close(&job->core, S->fault->by_force ? 0 : job->core.sched->close_ns);
}

const luaL_Reg uj_testing_internals[] = {{"jobs", l_jobs},
                                         {"source", l_source},
                                         {"set_handler", l_set_handler},
                                         {"is_virtual", l_is_virtual},
                                         {"is_settled", l_is_settled},
                                         {"due", l_due},
                                         {"step", l_step},
                                         {"on_deadline", l_on_deadline},
                                         {"force_at", l_force_at},
                                         {"inject", l_inject},
                                         {"injected", l_injected},
                                         {NULL, NULL}};
