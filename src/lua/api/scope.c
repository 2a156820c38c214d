#include "lua/api/scope.h"

#include <lauxlib.h>

#include "core/sched.h"
#include "lua/base/args.h"
#include "lua/engine/nest.h"
#include "lua/engine/scopes.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"

#define SCOPE_TYPE "uvjobs.Scope"

/* A call of timeout(), protect() or in_nursery() that runs has its scope as a
 * to-be-closed variable, and so the scope ends however the function does; a
 * protected call would end it as well, but cost tracebacks their frames. */

/* [-0, +0, -] The scope at index 1 is a nursery's: it is not told any more. */
static void leave_nursery(lua_State *L, struct uj_scope *scope)
{
  scope->sched->scope = NULL;
  lua_getiuservalue(L, 1, 1);
  lua_pushnil(L);
  lua_setiuservalue(L, -2, UJ_SCHED_UV_SCOPE);
  lua_pop(L, 1);
}

/* A nested coroutine leaves the scope. Usually it runs as a part of its job
 * then. If it does not, because somebody closes it or resumes it by other
 * means, the scope's limits do not hold in the job, and only the mark is
 * changed. */
static void leave_nested(lua_State *L, struct uj_scope *scope)
{
  struct uj_state *S = uj_state_registered(L);
  if (S->nest != NULL && S->nest->co == L && S->nest->scope == scope) {
    S->nest->scope = scope->outer;
    uj_scope_leave(scope);
    return;
  }
  uj_scope_unlink(scope);
  uj_nest_set_scope(S, L, scope->outer);
}

static int scope_close(lua_State *L)
{
  struct uj_scope *scope = lua_touserdata(L, 1);
  if (scope->sched != NULL)
    leave_nursery(L, scope);
  if (scope->is_nested)
    leave_nested(L, scope);
  else
    uj_scope_leave(scope);
  return 0;
}

/* Replaces the value at index 1 by a new scope, and enters it. */
static struct uj_scope *enter(lua_State *L, struct uj_state *S,
                              uint64_t limit_ns, enum uj_scope_kind kind)
{
  bool is_nursery = kind == UJ_SCOPE_NURSERY;
  struct uj_nest *nest = S->nest;
  struct uj_scope *scope = lua_newuserdatauv(L, sizeof(*scope), is_nursery);
  *scope = (struct uj_scope){.limit_ns = limit_ns, .kind = kind};
  scope->is_nested = nest != NULL;
  if (nest != NULL)
    scope->outer = nest->scope;
  luaL_setmetatable(L, SCOPE_TYPE);
  lua_replace(L, 1);
  uj_job_note_deadline(&S->current->core, limit_ns);
  uj_scope_enter(S->current, scope);
  if (nest != NULL)
    nest->scope = scope;
  lua_toclose(L, 1);
  return scope;
}

/* Stack: scope, results. */
static int leave(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  return lua_gettop(L) - 1;
}

/* Stack: scope, fn, arguments. */
static int call(lua_State *L)
{
  lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, leave);
  return leave(L, LUA_OK, 0);
}

/* Calls fn without a scope, for a job that is ended by force: as it cannot
 * suspend any more, no limit matters to it. Stack: fn, arguments. */
static int call_only(lua_State *L)
{
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int l_timeout(lua_State *L)
{
  static const struct uj_callee callee = {"timeout", 0};
  struct uj_state *S = uj_state(L);
  uint64_t span_ns = uj_arg_seconds(L, &callee, 1);
  uj_arg_function(L, &callee, 2);
  if (uj_suspend_is_killed(S, L)) {
    lua_remove(L, 1);
    return call_only(L);
  }
  uj_suspend_check(S, L, callee.name);
  enter(L, S, uj_suspend_due(S, span_ns), UJ_SCOPE_TIMEOUT);
  return call(L);
}

static int l_protect(lua_State *L)
{
  static const struct uj_callee callee = {"protect", 0};
  struct uj_state *S = uj_state(L);
  uj_arg_function(L, &callee, 1);
  if (uj_suspend_is_killed(S, L))
    return call_only(L);
  uj_suspend_check(S, L, callee.name);
  lua_pushnil(L);
  lua_insert(L, 1);
  enter(L, S, UJ_NEVER, UJ_SCOPE_PROTECT);
  return call(L);
}

static int l_in_nursery(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, "in_nursery");
  struct uj_scope *scope;
  uj_suspend_check(S, L, "nursery");
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  scope = enter(L, S, UJ_NEVER, UJ_SCOPE_NURSERY);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, 1, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 3, UJ_SCHED_UV_SCOPE);
  scope->sched = sched;
  sched->scope = scope;
  return call(L);
}

void uj_scope_register(lua_State *L)
{
  static const luaL_Reg meta[] = {{"__close", scope_close}, {NULL, NULL}};
  luaL_newmetatable(L, SCOPE_TYPE);
  luaL_setfuncs(L, meta, 0);
  lua_pop(L, 1);
}

const luaL_Reg uj_scope_functions[] = {
    {"timeout", l_timeout}, {"protect", l_protect}, {NULL, NULL}};

const luaL_Reg uj_scope_internals[] = {{"in_nursery", l_in_nursery},
                                       {NULL, NULL}};
