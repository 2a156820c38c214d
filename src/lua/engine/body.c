#include "lua/engine/body.h"

#include <lauxlib.h>

#include "lua/engine/hook.h"
#include "lua/engine/nest.h"
#include "lua/engine/pool.h"
#include "lua/state/error.h"

/* ---- the job has failed -------------------------------------------------- */

static bool is_own_cancel(lua_State *L, int idx, const struct uj_ljob *job)
{
  return job->core.cancel && uj_error_is(L, idx, UJ_CODE_CANCELLED, job);
}

/* (state, job, error): if it is the error that came from another thread, adds
 * where it was raised there to the traceback of the job. */
static int concat_beyond(lua_State *L)
{
  struct uj_ljob *job = lua_touserdata(L, 2);
  uj_ljob_push(lua_touserdata(L, 1), L, job);
  uj_ljob_get_extra(L, 4, "beyond_error");
  if (!lua_rawequal(L, 3, -1))
    return 0;
  uj_ljob_get_extra(L, 4, "beyond_traceback");
  uj_ljob_get_extra(L, 4, "traceback");
  if (!lua_isstring(L, -1) || !lua_isstring(L, -2))
    return 0;
  lua_pushfstring(L, "in another thread, %s\nin the job, %s",
                  lua_tostring(L, -2), lua_tostring(L, -1));
  uj_ljob_set_extra(L, 4, "traceback");
  return 0;
}

static void add_beyond(struct uj_state *S, lua_State *L, struct uj_ljob *job)
{
  lua_pushcfunction(L, concat_beyond);
  lua_pushlightuserdata(L, S);
  lua_pushlightuserdata(L, job);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

void uj_body_note_beyond(struct uj_state *S, lua_State *L,
                         const char *traceback)
{
  if (S->current == NULL || traceback == NULL)
    return;
  uj_ljob_push(S, L, S->current);
  lua_pushvalue(L, -2);
  uj_ljob_set_extra(L, -2, "beyond_error");
  lua_pushstring(L, traceback);
  uj_ljob_set_extra(L, -2, "beyond_traceback");
  lua_pop(L, 1);
}

/* The message handler, which leaves the error as it is and keeps the traceback
 * while the frames are there. A job that is cancelled by its own `cancelled`
 * has not failed and needs none; one that is killed has its traceback. */
static int on_error(lua_State *L)
{
  struct uj_state *S = uj_state_registered(L);
  struct uj_ljob *job = S->current;
  if (S->dead || job == NULL || job->co != L)
    return 1; /* not from a job that runs */
  if (is_own_cancel(L, 1, job) || job->core.wake == UJ_WAKE_KILLED)
    return 1;
  uj_nest_keep_traceback(S, L, job, 1);
  if (job->has_extra)
    add_beyond(S, L, job);
  return 1;
}

/* [-1, +0, -] Keeps the error on the top. */
static void keep_error(lua_State *L, struct uj_ljob *job)
{
  bool own = is_own_cancel(L, -1, job);
  job->nresults = UJ_RESULTS_ONE;
  uj_ljob_set_value(L, job, UJ_BODY_JOB);
  uj_ljob_set_outcome(job, own ? UJ_JOB_CANCELLED : UJ_JOB_FAILED);
}

/* [-n, +0, m] A callback that was called for the job has failed, and so the job
 * fails: see api/job.h. Its results, if it has some, are not wanted. */
static void keep_failure(lua_State *L, struct uj_ljob *job)
{
  lua_settop(L, UJ_BODY_BELOW);
  uj_ljob_get_extra(L, UJ_BODY_JOB, "failure_traceback");
  uj_ljob_set_extra(L, UJ_BODY_JOB, "traceback");
  uj_ljob_get_extra(L, UJ_BODY_JOB, "failure");
  uj_ljob_set_value(L, job, UJ_BODY_JOB);
  job->nresults = UJ_RESULTS_ONE;
  uj_ljob_set_outcome(job, UJ_JOB_FAILED);
}

/* ---- the job is done ----------------------------------------------------- */

/* [-n, +1, m] Makes a table of the results. */
static void pack(lua_State *L, int n)
{
  luaL_checkstack(L, 2, "too many results");
  lua_createtable(L, n, 1);
  lua_insert(L, UJ_BODY_FIRST);
  for (int i = n; i > 0; i--)
    lua_rawseti(L, UJ_BODY_FIRST, i);
  lua_pushinteger(L, n);
  lua_setfield(L, UJ_BODY_FIRST, "n");
}

static void keep_results(lua_State *L, struct uj_ljob *job)
{
  int n = lua_gettop(L) - UJ_BODY_BELOW;
  if (n > 1)
    pack(L, n);
  else if (n == 0)
    lua_pushnil(L);
  uj_ljob_set_value(L, job, UJ_BODY_JOB);
  job->nresults = n == 0   ? UJ_RESULTS_NONE
                  : n == 1 ? UJ_RESULTS_ONE
                           : UJ_RESULTS_MANY;
  uj_ljob_set_outcome(job, UJ_JOB_DONE);
}

/* ---- the body ------------------------------------------------------------ */

/* A coroutine without a slot in the pool is kept by the job's value alone, and
 * the result takes that place. So from there until the host has noted the end
 * nothing may allocate, and a hook of the user, which could collect garbage,
 * must not hear of the body's return. */
static void mute_return_hook(lua_State *L)
{
  int mask = lua_gethookmask(L);
  if ((mask & LUA_MASKRET) != 0)
    lua_sethook(L, lua_gethook(L), mask & ~LUA_MASKRET, lua_gethookcount(L));
}

static int end(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_ljob *job = lua_touserdata(L, UJ_BODY_JOB);
  (void)ctx;
  if (job->co_slot == 0)
    mute_return_hook(L);
  if (job->has_failure)
    keep_failure(L, job);
  else if (status == LUA_OK || status == LUA_YIELD)
    keep_results(L, job);
  else
    keep_error(L, job);
  return 0;
}

/* The call is protected, so that the job's to-be-closed variables can suspend
 * even when it fails, and its traceback is whole. */
int uj_body(lua_State *L)
{
  int nargs = lua_gettop(L) - UJ_BODY_FIRST;
  int status = lua_pcallk(L, nargs, LUA_MULTRET, UJ_BODY_HANDLER, 0, end);
  return end(L, status, 0);
}

/* ---- its coroutine has closed itself ------------------------------------- */

/* (job) */
static int keep_closed(lua_State *L)
{
  struct uj_ljob *job = lua_touserdata(L, UJ_BODY_JOB);
  lua_settop(L, UJ_BODY_BELOW);
  if (job->has_failure) {
    keep_failure(L, job);
    return 0;
  }
  lua_pushliteral(L, "the coroutine of the job was closed by itself "
                     "(coroutine.close)");
  keep_error(L, job);
  return 0;
}

int uj_body_closed(struct uj_ljob *job)
{
  lua_State *co = job->co;
  lua_sethook(co, NULL, 0, 0);
  lua_settop(co, 0);
  lua_pushcfunction(co, keep_closed);
  uj_ljob_push(uj_state_registered(co), co, job);
  return lua_pcall(co, 1, 0, 0);
}

/* ---- its beginning ------------------------------------------------------- */

/* An empty stack has room for the body and so many arguments. */
enum { FREE_ARGS = LUA_MINSTACK - 4 };

static bool take_coroutine(struct uj_state *S, struct uj_ljob *job)
{
  if (!uj_pool_take(S, job, uj_hook_counts(S, job->core.sched)))
    return false;
  if (job->ninputs <= FREE_ARGS ||
      lua_checkstack(job->co, (int)job->ninputs + FREE_ARGS))
    return true;
  lua_settop(job->co, 0);
  uj_pool_give(S, job);
  return false;
}

/* [co: -0, +1, -] Moves the job's argument `i` to its coroutine. The job must
 * not keep it longer than it runs. */
static void move_argument(lua_State *co, int job, int i)
{
  lua_getiuservalue(co, job, UJ_JOB_UV_ARGS + i);
  lua_pushnil(co);
  lua_setiuservalue(co, job, UJ_JOB_UV_ARGS + i);
}

bool uj_body_start(struct uj_state *S, struct uj_ljob *job)
{
  const int at_job =
      UJ_BODY_JOB + 1; /* the body is below, until it is called */
  lua_State *co;
  if (!take_coroutine(S, job))
    return false;
  co = job->co;
  lua_pushcfunction(co, uj_body);
  uj_ljob_push_inside(S, co, job);
  lua_pushcfunction(co, on_error);
  if (job->co_slot == 0) /* a new coroutine has the job's function already */
    lua_rotate(co, 1, -1);
  else
    uj_ljob_get_value(co, job, at_job);
  for (int i = 0; i < (int)job->ninputs; i++)
    move_argument(co, at_job, i);
  job->ninputs += UJ_BODY_FIRST;
  return true;
}
