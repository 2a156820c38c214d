#include "lua/scope.h"

#include <lauxlib.h>

#include "lua/args.h"
#include "lua/suspend.h"

/* What the job had before the call. It is a to-be-closed variable of the
 * calling function: so the scope ends however the function does, and the call
 * itself needs no protection that would cost tracebacks their frames. */
struct scope {
  struct uj_ljob *job;
  uint64_t deadline_ns;
  bool protect;
};

static int scope_close(lua_State *L)
{
  const struct scope *scope = lua_touserdata(L, 1);
  uj_job_limit(&scope->job->core, scope->deadline_ns, scope->protect);
  return 0;
}

/* Makes the value at the bottom of the stack the guard of the scope. */
static void enter(lua_State *L, struct uj_ljob *job)
{
  struct scope *scope = lua_newuserdatauv(L, sizeof(*scope), 0);
  scope->job = job;
  scope->deadline_ns = job->core.deadline_ns;
  scope->protect = job->core.protect;
  luaL_setmetatable(L, UJ_SCOPE_TYPE);
  lua_replace(L, 1);
  lua_toclose(L, 1);
}

/* Stack: guard, results. */
static int leave(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  return lua_gettop(L) - 1;
}

/* Stack: guard, fn, arguments. */
static int call(lua_State *L)
{
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, leave);
  return leave(L, LUA_OK, 0);
}

/* In a job that is ended by force there is no scope to enter: it cannot suspend
 * any more. The stack is what to call. */
static int call_only(lua_State *L)
{
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

int uj_scope_timeout(lua_State *L)
{
  static const struct uj_callee callee = {"timeout", 0};
  struct uj_state *S = uj_state(L);
  uint64_t span_ns = uj_arg_seconds(L, &callee, 1);
  struct uj_ljob *job;
  uj_arg_function(L, &callee, 2);
  if (uj_is_killed(S, L)) {
    lua_remove(L, 1);
    return call_only(L);
  }
  job = uj_suspend_check(S, L, callee.name);
  enter(L, job);
  uj_job_limit(&job->core,
               uj_clock_min(job->core.deadline_ns, uj_suspend_due(S, span_ns)),
               job->core.protect);
  return call(L);
}

int uj_scope_protect(lua_State *L)
{
  static const struct uj_callee callee = {"protect", 0};
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job;
  uj_arg_function(L, &callee, 1);
  if (uj_is_killed(S, L))
    return call_only(L);
  job = uj_suspend_check(S, L, callee.name);
  lua_pushnil(L);
  lua_insert(L, 1);
  enter(L, job);
  uj_job_limit(&job->core, UJ_NEVER, true);
  return call(L);
}

void uj_scope_open(lua_State *L)
{
  static const luaL_Reg meta[] = {{"__close", scope_close}, {NULL, NULL}};
  luaL_newmetatable(L, UJ_SCOPE_TYPE);
  luaL_setfuncs(L, meta, 0);
  lua_pop(L, 1);
}
