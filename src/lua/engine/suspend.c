#include "lua/engine/suspend.h"

#include <lauxlib.h>

#include "lua/engine/ending.h"
#include "lua/engine/killing.h"
#include "lua/engine/scopes.h"
#include "lua/state/error.h"
#include "lua/state/job.h"

/* [-0, +0, m] Raises `killed`. */
static int raise_killed(struct uj_state *S, lua_State *L)
{
  uj_suspend_push_killed(S, L);
  return lua_error(L);
}

const char *uj_suspend_refusal(const struct uj_state *S, lua_State *L)
{
  if (S->current == NULL)
    return S->L == NULL ? "must be called in a job: use uvjobs.run"
                        : "must be called in a job";
  return S->running != L ? "must be called in a job: use uvjobs.coroutine"
                         : "cannot suspend across a C call";
}

int uj_suspend_refuse(struct uj_state *S, lua_State *L, const char *name)
{
  const struct uj_ljob *job = S->current;
  if (job == NULL || S->running != L)
    return luaL_error(L, "'%s' %s", name, uj_suspend_refusal(S, L));
  if (job->core.wake == UJ_WAKE_KILLED)
    return raise_killed(S, L);
  return luaL_error(L, "'%s' cannot suspend across a C call", name);
}

struct uj_ljob *uj_suspend_check_job(struct uj_state *S, lua_State *L,
                                     const char *name)
{
  if (S->current == NULL)
    luaL_error(L, "'%s' %s", name, uj_suspend_refusal(S, L));
  return S->current;
}

int uj_suspend(lua_State *L, struct uj_ljob *job, struct uj_waitq *waitq,
               uint64_t due_ns, unsigned op, lua_KFunction k)
{
  struct uj_state *S = uj_state_of(job->core.sched->loop);
  uj_job_park(&job->core, waitq, due_ns, op);
  return lua_yieldk(L, 0, (lua_KContext)S, k);
}

/* The error on the top of L tells the main job that it is to end: it says by
 * which signal. */
static void name_signal(const struct uj_state *S, lua_State *L)
{
  if (S->current == S->main)
    uj_error_set_signal(L, -1, S->ending->signal);
}

void uj_suspend_push_killed(struct uj_state *S, lua_State *L)
{
  S->kill->begun = true;
  uj_ljob_push(S, L, S->current);
  uj_error_new(L, UJ_CODE_KILLED);
  name_signal(S, L);
}

void uj_suspend_tell_of_deadline(struct uj_state *S, lua_State *L)
{
  if (uj_hub_is_nil(S->hub, UJ_HUB_DEADLINE) ||
      !lua_checkstack(L, LUA_MINSTACK))
    return;
  uj_hub_push(S->hub, L, UJ_HUB_DEADLINE);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

void uj_suspend_push_error(struct uj_state *S, lua_State *L, enum uj_wake wake)
{
  uj_job_note_raised(&S->current->core, wake);
  if (wake == UJ_WAKE_DEADLINE) {
    if (S->current == S->main)
      uj_suspend_tell_of_deadline(S, L);
    lua_pushnil(L);
    uj_error_new(L, uj_scope_is_tripped(S->current) ? UJ_CODE_CANCELLED
                                                    : UJ_CODE_TIMEOUT);
    return;
  }
  uj_ljob_push(S, L, S->current);
  uj_error_new(L, UJ_CODE_CANCELLED);
  name_signal(S, L);
}

struct uj_ljob *uj_suspend_self(struct uj_state *S, lua_State *L)
{
  if (S->current == NULL || S->running != L)
    luaL_error(L, "the coroutine of a job was resumed by somebody else");
  return S->current;
}

enum uj_wake uj_suspend_result(struct uj_state *S, lua_State *L)
{
  enum uj_wake wake = (enum uj_wake)uj_suspend_self(S, L)->core.wake;
  if (wake == UJ_WAKE_KILLED)
    raise_killed(S, L);
  if (wake == UJ_WAKE_CANCELLED || wake == UJ_WAKE_DEADLINE) {
    uj_suspend_push_error(S, L, wake);
    lua_error(L);
  }
  return wake;
}

int uj_suspend_return_nothing(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  uj_suspend_result(uj_suspend_state(L, ctx), L);
  return 0;
}

int uj_suspend_return_true(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  if (uj_suspend_result(uj_suspend_state(L, ctx), L) == UJ_WAKE_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushliteral(L, "timeout");
  return 2;
}
