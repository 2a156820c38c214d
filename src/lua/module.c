/* The module uvjobs.core: what of the interface is written in C. */
#include <lauxlib.h>
#include <lua.h>

#include "core/end.h"
#include "loop/driver.h"
#include "lua/api/await.h"
#include "lua/api/closing.h"
#include "lua/api/coroutine.h"
#include "lua/api/event.h"
#include "lua/api/job.h"
#include "lua/api/mutex.h"
#include "lua/api/nursery.h"
#include "lua/api/queue.h"
#include "lua/api/scheduler.h"
#include "lua/api/scope.h"
#include "lua/api/semaphore.h"
#include "lua/api/stats.h"
#include "lua/api/testing.h"
#include "lua/api/work.h"
#include "lua/base/args.h"
#include "lua/base/seconds.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/embed.h"
#include "lua/drive/run.h"
#include "lua/engine/interrupt.h"
#include "lua/engine/own.h"
#include "lua/engine/suspend.h"
#include "lua/lifetime.h"
#include "lua/state/context.h"
#include "lua/state/error.h"
#include "lua/state/job.h"
#include "lua/state/state.h"

/* sleep(seconds) */
static int l_sleep(lua_State *L)
{
  static const struct uj_callee callee = {"sleep", 0};
  struct uj_state *S = uj_state(L);
  uint64_t span_ns = uj_arg_seconds(L, &callee, 1);
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
  return lua_yieldk(L, 0, 0, uj_suspend_return_nothing);
}

/* now() */
static int l_now(lua_State *L)
{
  uj_seconds_push(L, uj_loop_now(&uj_state(L)->loop));
  return 1;
}

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

/* For Lua: () see driver.h */
static int l_ignore_sigpipe(lua_State *L)
{
  (void)L;
  uj_driver_ignore_sigpipe();
  return 0;
}

/* For Lua: () whether the code that runs could suspend a job. */
static int l_can_suspend(lua_State *L)
{
  lua_pushboolean(L, uj_can_suspend(uj_state(L), L));
  return 1;
}

/* For Lua: (name, level) raises when `name` cannot suspend where it is called;
 * the message blames the caller at that level, as error() does. */
static int l_check_suspend(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  const char *reason;
  if (uj_can_suspend(S, L) || uj_is_killed(S, L)) {
    uj_suspend_check(S, L, "");
    return 0;
  }
  reason = S->current == NULL || S->running != L
               ? "must be called in a job"
               : "cannot suspend across a C call";
  luaL_where(L, (int)luaL_checkinteger(L, 2));
  lua_pushfstring(L, "'%s' %s", luaL_checkstring(L, 1), reason);
  lua_concat(L, 2);
  return lua_error(L);
}

/* For Lua: () whether a call that suspends would raise here and now, because
 * the job is cancelled, out of time or being killed. */
static int l_interrupted(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_pushboolean(L, S->current != NULL && uj_suspend_needed(S->current));
  return 1;
}

/* For Lua: (seconds) how long the job may wait for something that it closes, so
 * that time is left for itself: not more than that. */
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

/* For Lua: (name) for a function that suspends in jobs alone: nil outside; true
 * where it can; false where it could, but the job is to end and the next call
 * that suspends raises. Else it raises, for the caller of the function. */
static int l_enter(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (S->current == NULL)
    lua_pushnil(L);
  else if (uj_can_suspend(S, L))
    lua_pushboolean(L, !uj_suspend_needed(S->current));
  else {
    lua_pushinteger(L, 3);
    return l_check_suspend(L);
  }
  return 1;
}

/* For Lua: (value, n, name, level) raises unless the value is nil or a
 * duration; `n` and `name` are those of the argument and of the function, and
 * the message blames the caller at that level. */
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

/* For Lua: (value) its type as messages call it. */
static int l_typename(lua_State *L)
{
  lua_pushstring(L, uj_arg_typename(L, 1));
  return 1;
}

/* debug(on) */
static int l_debug(lua_State *L)
{
  static const struct uj_callee callee = {"debug", 0};
  struct uj_state *S = uj_state(L);
  if (!lua_isboolean(L, 1))
    return uj_arg_typeerror(L, &callee, 1, "boolean");
  lua_pushboolean(L, S->debug);
  S->debug = lua_toboolean(L, 1);
  return 1;
}

/* For Lua: () whether the loop runs, so that nobody else can drive it. */
static int l_loop_runs(lua_State *L)
{
  lua_pushboolean(L, uj_state(L)->L != NULL);
  return 1;
}

/* For Lua: () where this was called from, in debug mode; or nil. */
static int l_here(lua_State *L)
{
  if (!uj_state(L)->debug)
    return 0;
  luaL_traceback(L, L, NULL, 1);
  return 1;
}

static void open_functions(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"run", uj_run_run},
      {"sleep", l_sleep},
      {"yield", l_yield},
      {"now", l_now},
      {"current", l_current},
      {"work", uj_work_work},
      {"debug", l_debug},
      {"here", l_here},
      {"loop_runs", l_loop_runs},
      {"start", uj_embed_start},
      {"fd", uj_embed_fd},
      {"next_timeout", uj_embed_next_timeout},
      {"step", uj_embed_step},
      {"set_wake", uj_embed_set_wake},
      {"has_jobs", uj_embed_has_jobs},
      {"fd_is_timed", uj_embed_fd_is_timed},
      {"own_source", uj_own_add_source},
      {"main_at_work", uj_interrupt_main_at_work},
      {"check_suspend", l_check_suspend},
      {"check_timeout", l_check_timeout},
      {"interrupted", l_interrupted},
      {"enter", l_enter},
      {"grace", l_grace},
      {"typename", l_typename},
      {"ignore_sigpipe", l_ignore_sigpipe},
      {"nearest", uj_arg_nearest},
      {"can_suspend", l_can_suspend},
      {"jobs", uj_testing_jobs},
      {"source", uj_testing_source},
      {"set_handler", uj_testing_set_handler},
      {"is_virtual", uj_testing_is_virtual},
      {"inject", uj_testing_inject},
      {"injected", uj_testing_injected},
      {NULL, NULL}};
  static const luaL_Reg *const rooms[] = {
      uj_scheduler_functions, uj_scope_functions,   uj_await_functions,
      uj_levent_functions,    uj_lqueue_functions,  uj_lsemaphore_functions,
      uj_lmutex_functions,    uj_error_functions,   uj_stats_functions,
      uj_nursery_internals,   uj_closing_internals, uj_ljob_internals,
      uj_context_internals};
  int state = lua_gettop(L);
  for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
    lua_pushvalue(L, state - 1);
    lua_pushvalue(L, state);
    luaL_setfuncs(L, rooms[i], 1);
    lua_pop(L, 1);
  }
  luaL_setfuncs(L, functions, 1);
}

__attribute__((visibility("default"))) int luaopen_uvjobs_core(lua_State *L);

int luaopen_uvjobs_core(lua_State *L)
{
  luaL_checkversion(L);
  lua_newtable(L);
  uj_lifetime_push_state(L);
  lua_getiuservalue(L, -1, UJ_STATE_UV_TYPES);
  lua_setfield(L, -3, "types");
  lua_newtable(L);
  uj_object_set_functions(L, -2, uj_cqueues_internals);
  lua_setfield(L, -3, "cqueues");
  uj_coroutine_register(L, -1);
  lua_setfield(L, -3, "coroutine");
  open_functions(L);
  return 1;
}
