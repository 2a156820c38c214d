#include "lua/api/scope.h"

#include <lauxlib.h>

#include "core/sched.h"
#include "lua/base/args.h"
#include "lua/engine/nest.h"
#include "lua/engine/stretch.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

#define SCOPE_TYPE "uvjobs.Scope"

/* A call of timeout() or protect() that runs: the limits that it sets, and
 * those that the job had before. It is a to-be-closed variable of that
 * function, and so ends however the function does; a protected call would end
 * it as well, but cost tracebacks their frames. */
struct uj_scope {
  struct uj_ljob *job;    /* whose own coroutine has opened the scope; NULL when
                             a nested one has */
  struct uj_scope *outer; /* the next one of the same nested coroutine */
  uint64_t limit_ns;      /* the deadline of a timeout() */
  bool holds_off;         /* it is a protect() */
  uint64_t deadline_ns;   /* before: uj_job::deadline_ns */
  bool protect;           /* before: uj_job::protect */
};

/* Keeps the limits of the job, and sets those that hold in the scope. */
static void apply(struct uj_job *job, struct uj_scope *scope)
{
  scope->deadline_ns = job->deadline_ns;
  scope->protect = job->protect;
  if (scope->holds_off)
    uj_job_set_limits(job, UJ_NEVER, true);
  else
    uj_job_set_limits(job, uj_clock_min(job->deadline_ns, scope->limit_ns),
                      job->protect);
  uj_stretch_limits_changed(uj_state_of(job->sched->loop));
}

/* Sets the limits that held before the scope again. */
static void restore(struct uj_job *job, const struct uj_scope *scope)
{
  uj_job_leave_limits(job, scope->deadline_ns, scope->protect);
  uj_stretch_limits_changed(uj_state_of(job->sched->loop));
}

void uj_scope_reenter(struct uj_job *job, struct uj_scope *scope)
{
  if (scope->outer != NULL)
    uj_scope_reenter(job, scope->outer);
  apply(job, scope);
}

/* A nested coroutine leaves the scope. Usually it runs as a part of its job
 * then. If it does not, because somebody closes it or resumes it by other
 * means, the scope's limits do not hold in the job, and only the mark is
 * changed. */
static void leave_nested(lua_State *L, const struct uj_scope *scope)
{
  struct uj_state *S = uj_state_registered(L);
  if (S->nest != NULL && S->nest->co == L && S->nest->scope == scope) {
    S->nest->scope = scope->outer;
    restore(&S->current->core, scope);
  } else
    uj_nest_set_scope(S, L, scope->outer);
}

static int scope_close(lua_State *L)
{
  const struct uj_scope *scope = lua_touserdata(L, 1);
  if (scope->job == NULL)
    leave_nested(L, scope);
  else
    restore(&scope->job->core, scope);
  return 0;
}

/* Replaces the value at index 1 by a new scope, and enters it. */
static void enter(lua_State *L, struct uj_state *S, uint64_t limit_ns,
                  bool holds_off)
{
  struct uj_scope *scope = lua_newuserdatauv(L, sizeof(*scope), 0);
  *scope = (struct uj_scope){.limit_ns = limit_ns, .holds_off = holds_off};
  if (S->nest == NULL)
    scope->job = S->current;
  else
    scope->outer = S->nest->scope;
  luaL_setmetatable(L, SCOPE_TYPE);
  lua_replace(L, 1);
  uj_job_note_deadline(&S->current->core, limit_ns);
  apply(&S->current->core, scope);
  if (S->nest != NULL)
    S->nest->scope = scope;
  lua_toclose(L, 1);
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
  enter(L, S, uj_suspend_due(S, span_ns), false);
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
  enter(L, S, UJ_NEVER, true);
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
