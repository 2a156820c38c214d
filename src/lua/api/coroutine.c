#include "lua/api/coroutine.h"

#include <lauxlib.h>

#include "lua/base/inside.h"
#include "lua/base/transfer.h"
#include "lua/engine/killing.h"
#include "lua/engine/nest.h"
#include "lua/engine/resume.h"
#include "lua/engine/scopes.h"

/* The stack of resume() and of a wrapped function. The limits of the job are
 * kept because the coroutine may yield inside of timeout() or protect(), whose
 * limits hold only while it runs. The scope is the coroutine's innermost one,
 * while the job is parked. Above AT_TOP are arguments or results. */
enum { AT_CO = 1, AT_DEADLINE, AT_PROTECT, AT_SCOPE, AT_TOP = AT_SCOPE };

/* Instead of a number of results. */
enum { FAILED = -1, PARKED = -2 };

/* ---- resuming ------------------------------------------------------------ */

/* A coroutine that has failed keeps its to-be-closed variables until somebody
 * calls close(). When the job is killed nobody is left to do that: so they are
 * closed here, and each of them is spared as if it were the first. */
static void close_killed(struct uj_state *S, lua_State *L, lua_State *co)
{
  int depth = S->kill->depth;
  S->kill->depth = 0;
  (void)uj_resume_close(S, co, L);
  S->kill->depth = depth;
}

/* The coroutine has come back: unless the job is parked in it, it is not a part
 * of the job any more, and neither are its scopes. Returns whether the job is
 * parked. */
static bool come_out(struct uj_state *S, lua_State *L, int status,
                     struct uj_scope *scope)
{
  struct uj_job *core = &S->current->core;
  if (status == LUA_YIELD && core->place != UJ_AT_NONE) {
    lua_pushlightuserdata(L, scope);
    lua_replace(L, AT_SCOPE);
    uj_nest_mark(S, L, AT_CO);
    return true;
  }
  uj_scope_suspend(S->current, scope, (uint64_t)lua_tointeger(L, AT_DEADLINE),
                   lua_toboolean(L, AT_PROTECT));
  if (scope != NULL && status == LUA_YIELD)
    uj_nest_keep_scope(S, L, AT_CO, scope);
  return false;
}

/* Whether it has run and failed. Otherwise Lua has refused to resume it,
 * because it is not suspended. */
static bool has_failed(lua_State *co)
{
  return lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD;
}

/* Resumes a coroutine as a part of the job. Returns whether the job is parked
 * in it. */
static bool run_part(struct uj_state *S, lua_State *L, lua_State *co, int nargs,
                     int *status, int *nresults)
{
  struct uj_nest nest = {S->nest, co, lua_touserdata(L, AT_SCOPE)};
  S->nest = &nest;
  *status = uj_resume_nested(S, co, L, nargs, nresults);
  S->nest = nest.outer;
  if (come_out(S, L, *status, nest.scope))
    return true;
  if (S->killing && has_failed(co))
    close_killed(S, L, co);
  return false;
}

/* Resumes the coroutine at AT_CO with what is above AT_TOP. Leaves its results
 * on the top and returns their number; or FAILED with an error; or PARKED. */
static int go_in(struct uj_state *S, lua_State *L)
{
  lua_State *co = lua_tothread(L, AT_CO);
  int nargs = lua_gettop(L) - AT_TOP, nresults, status;
  if (!uj_transfer_arguments(L, co, nargs))
    return FAILED;
  if (!uj_resume_is_part(S, L))
    status = uj_resume_nested(S, co, L, nargs, &nresults);
  else if (run_part(S, L, co, nargs, &status, &nresults))
    return PARKED;
  if (status == LUA_OK || status == LUA_YIELD)
    return uj_transfer_results(L, co, nresults) ? nresults : FAILED;
  lua_xmove(co, L, 1);
  return FAILED;
}

/* [-0, +1, -] Pushes the innermost scope that a coroutine is suspended in, or
 * NULL, and enters its scopes again. */
static void enter_scopes(struct uj_state *S, lua_State *L)
{
  struct uj_scope *scope = uj_nest_take_scope(S, L, AT_CO);
  lua_pushlightuserdata(L, scope);
  if (scope != NULL)
    uj_scope_reenter(S->current, scope);
}

/* [-0, +3, m] Pushes what is kept from AT_DEADLINE to AT_TOP: nothing, unless
 * the coroutine becomes a part of the job. */
static void push_kept(struct uj_state *S, lua_State *L)
{
  if (!uj_resume_is_part(S, L)) {
    lua_settop(L, lua_gettop(L) + AT_TOP - AT_CO);
    return;
  }
  lua_pushthread(L);
  uj_nest_reserve(S, L);
  lua_pushvalue(L, AT_CO);
  uj_nest_reserve(S, L);
  lua_pushinteger(L, (lua_Integer)S->current->core.deadline_ns);
  lua_pushboolean(L, S->current->core.protect);
  enter_scopes(S, L);
}

/* Resumes the coroutine. Stack: it, its arguments. */
static int begin(struct uj_state *S, lua_State *L)
{
  luaL_checkstack(L, 8, "too many arguments to resume");
  if (uj_nest_is_parked(S, L, AT_CO)) {
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
    return FAILED;
  }
  push_kept(S, L);
  lua_rotate(L, AT_DEADLINE, AT_TOP - AT_CO);
  return go_in(S, L);
}

/* Resumes the coroutine when the job goes on. Stack: as for go_in(). */
static int go_on(struct uj_state *S, lua_State *L)
{
  luaL_checkstack(L, 8, "too many values to resume");
  uj_nest_unmark(S, L, AT_CO);
  return go_in(S, L);
}

static int resume_result(lua_State *L, int nresults)
{
  lua_pushboolean(L, nresults >= 0);
  nresults = nresults < 0 ? 1 : nresults;
  lua_insert(L, -1 - nresults);
  return nresults + 1;
}

static int resume_on(lua_State *L, int status, lua_KContext ctx)
{
  int nresults = go_on(uj_state(L), L);
  (void)status;
  return nresults == PARKED ? lua_yieldk(L, 0, ctx, resume_on)
                            : resume_result(L, nresults);
}

static int l_resume(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  int nresults;
  luaL_argexpected(L, lua_isthread(L, 1), 1, "thread");
  nresults = begin(S, L);
  return nresults == PARKED ? lua_yieldk(L, 0, 0, resume_on)
                            : resume_result(L, nresults);
}

/* An error is raised as by Lua's own wrap(): the coroutine's variables are
 * closed first. */
static int wrap_result(lua_State *L, int nresults)
{
  lua_State *co = lua_tothread(L, AT_CO);
  int status = lua_status(co);
  if (nresults >= 0)
    return nresults;
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_pushvalue(L, -1);
    lua_xmove(L, co, 1); /* closing takes the error from there */
    status = uj_resume_close(uj_state(L), co, L);
    lua_xmove(co, L, 1);
  }
  return uj_transfer_raise(L, status);
}

static int wrapped_on(lua_State *L, int status, lua_KContext ctx)
{
  int nresults = go_on(uj_state(L), L);
  (void)status;
  return nresults == PARKED ? lua_yieldk(L, 0, ctx, wrapped_on)
                            : wrap_result(L, nresults);
}

/* What wrap() returns. Upvalue 2 is the coroutine. */
static int wrapped(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  int nresults;
  luaL_checkstack(L, 1, "too many arguments to resume");
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, AT_CO);
  nresults = begin(S, L);
  return nresults == PARKED ? lua_yieldk(L, 0, 0, wrapped_on)
                            : wrap_result(L, nresults);
}

static int l_wrap(lua_State *L)
{
  lua_State *co;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrapped, 2);
  return 1;
}

/* ---- the state of one ---------------------------------------------------- */

enum status { RUNNING, NORMAL, SUSPENDED, DEAD };

static const char *const status_names[] = {[RUNNING] = "running",
                                           [NORMAL] = "normal",
                                           [SUSPENDED] = "suspended",
                                           [DEAD] = "dead"};

/* Of the coroutine at index 1. */
static enum status status_of(struct uj_state *S, lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  lua_Debug ar;
  if (co == L)
    return RUNNING;
  if (lua_status(co) == LUA_YIELD)
    return uj_nest_is_parked(S, L, 1) ? NORMAL : SUSPENDED;
  if (lua_status(co) != LUA_OK)
    return DEAD;
  if (lua_getstack(co, 0, &ar))
    return NORMAL;
  return lua_gettop(co) == 0 ? DEAD : SUSPENDED;
}

static int l_status(lua_State *L)
{
  luaL_argexpected(L, lua_isthread(L, 1), 1, "thread");
  lua_pushstring(L, status_names[status_of(uj_state(L), L)]);
  return 1;
}

static int l_close(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_State *co;
  enum status status;
  if (UJ_INSIDE_CLOSES_ITSELF && lua_isnone(L, 1))
    lua_pushthread(L);
  co = lua_tothread(L, 1);
  luaL_argexpected(L, co != NULL, 1, "thread");
  status = status_of(S, L);
  if (UJ_INSIDE_CLOSES_ITSELF && status == RUNNING)
    return uj_resume_close_itself(L);
  if (status != DEAD && status != SUSPENDED)
    return luaL_error(L, "cannot close a %s coroutine", status_names[status]);
  return uj_transfer_closed(L, co, uj_resume_close(S, co, L));
}

const luaL_Reg uj_coroutine_functions[] = {{"resume", l_resume},
                                           {"wrap", l_wrap},
                                           {"status", l_status},
                                           {"close", l_close},
                                           {NULL, NULL}};
