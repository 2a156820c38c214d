#include "lua/api/coroutine.h"

#include <lauxlib.h>

#include "lua/base/lua54.h"
#include "lua/engine/interrupt.h"
#include "lua/engine/kill.h"
#include "lua/host.h"
#include "lua/state/job.h"

/* A coroutine that a job resumes by these functions is a part of the job as
 * long as it runs. When a function in it suspends the job, it yields to
 * resume() here, and that yields on, up to the job's own coroutine; when the
 * job goes on, each of them resumes the next one again. Any other yield is the
 * coroutine's own, to its consumer.
 *
 * The table at UJ_HUB_NESTED has weak keys and knows the coroutines that take
 * part in it. While its job is parked, the value is the coroutine that it has
 * resumed, or true for the innermost one. While it is suspended by a yield of
 * its own, it is the innermost scope that it has open, if any. Otherwise it is
 * false. The entries are made before anything can suspend, so that marking does
 * not allocate. */

/* The stack of resume() and of a wrapped function. What the job has for limits
 * is kept because the coroutine may yield in a timeout() or protect(); the
 * scope is the innermost of the coroutine, while the job is parked. */
enum { AT_CO = 1, AT_DEADLINE, AT_PROTECT, AT_SCOPE, AT_TOP = AT_SCOPE };

/* Instead of a number of results. */
enum { FAILED = -1, PARKED = -2 };

/* ---- which coroutines are parked ----------------------------------------- */

/* [-1, +1, -] Replaces the coroutine on the top by its mark. */
static int get_mark(struct uj_state *S, lua_State *L)
{
  int type;
  uj_hub_push(S->hub, L, UJ_HUB_NESTED);
  lua_insert(L, -2);
  type = lua_rawget(L, -2);
  lua_remove(L, -2);
  return type;
}

/* [-2, +0, m] Sets the mark of a coroutine: it, and its mark, are on the top.
 * Allocates only for one that has none. */
static void set_mark(struct uj_state *S, lua_State *L)
{
  uj_hub_push(S->hub, L, UJ_HUB_NESTED);
  lua_insert(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* [-1, +0, m] Makes the entry of the coroutine on the top. */
static void reserve_mark(struct uj_state *S, lua_State *L)
{
  lua_pushvalue(L, -1);
  if (get_mark(S, L) != LUA_TNIL) {
    lua_pop(L, 2);
    return;
  }
  lua_pop(L, 1);
  lua_pushboolean(L, 0);
  set_mark(S, L);
}

/* Whether the job of the coroutine at idx is parked in it. */
static bool is_parked(struct uj_state *S, lua_State *L, int idx)
{
  bool parked;
  if (lua_status(lua_tothread(L, idx)) != LUA_YIELD)
    return false;
  lua_pushvalue(L, idx);
  parked = get_mark(S, L) == LUA_TTHREAD ||
           (lua_isboolean(L, -1) && lua_toboolean(L, -1));
  lua_pop(L, 1);
  return parked;
}

/* The job is parked in the coroutine at AT_CO, which L has resumed. */
static void mark_parked(struct uj_state *S, lua_State *L)
{
  if (!is_parked(S, L, AT_CO)) {
    lua_pushvalue(L, AT_CO);
    lua_pushboolean(L, 1);
    set_mark(S, L);
  }
  lua_pushthread(L);
  lua_pushvalue(L, AT_CO);
  set_mark(S, L);
}

static void unmark(struct uj_state *S, lua_State *L)
{
  lua_pushthread(L);
  lua_pushboolean(L, 0);
  set_mark(S, L);
  lua_pushvalue(L, AT_CO);
  if (get_mark(S, L) == LUA_TBOOLEAN) {
    lua_pushvalue(L, AT_CO);
    lua_pushboolean(L, 0);
    set_mark(S, L);
  }
  lua_pop(L, 1);
}

/* The coroutine that a parked job waits in, `n` steps below its own; NULL when
 * there are fewer. */
static lua_State *parked_in(struct uj_state *S, const struct uj_ljob *job,
                            int n)
{
  lua_State *hub = S->hub, *co = job->co;
  lua_pushthread(co);
  lua_xmove(co, hub, 1);
  for (; n > 0 && co != NULL; n--)
    co = get_mark(S, hub) == LUA_TTHREAD ? lua_tothread(hub, -1) : NULL;
  lua_pop(hub, 1);
  return co;
}

/* How many steps it is to the innermost. */
static int count_steps(struct uj_state *S, const struct uj_ljob *job)
{
  int n = 0;
  while (parked_in(S, job, n + 1) != NULL)
    n++;
  return n;
}

lua_State *uj_coroutine_parked(struct uj_state *S, const struct uj_ljob *job)
{
  return parked_in(S, job, count_steps(S, job));
}

void uj_coroutine_close(struct uj_state *S, const struct uj_ljob *job,
                        lua_State *from)
{
  for (int n = count_steps(S, job); n >= 0; n--)
    (void)uj_closethread(parked_in(S, job, n), from);
}

void uj_coroutine_push_traceback(struct uj_state *S, lua_State *L,
                                 const struct uj_ljob *job, bool runs,
                                 const char *text)
{
  int n = count_steps(S, job);
  if (runs && L != job->co)
    n = 1; /* those between them are not known */
  luaL_traceback(L, runs ? L : parked_in(S, job, n), text, runs ? 1 : 0);
  while (--n >= 0) {
    luaL_traceback(L, parked_in(S, job, n),
                   "\nin a coroutine that was resumed at", 0);
    lua_concat(L, 2);
  }
}

void uj_coroutine_set_scope(struct uj_state *S, lua_State *co,
                            struct uj_scope *scope)
{
  bool known;
  lua_pushthread(co);
  known = get_mark(S, co) == LUA_TLIGHTUSERDATA;
  lua_pop(co, 1);
  if (!known)
    return;
  lua_pushthread(co);
  if (scope == NULL)
    lua_pushboolean(co, 0);
  else
    lua_pushlightuserdata(co, scope);
  set_mark(S, co);
}

/* ---- resuming ------------------------------------------------------------ */

/* Whether the coroutine that calls is the part of the job that runs: then the
 * one that it resumes becomes that. */
static bool takes_part(const struct uj_state *S, lua_State *L)
{
  return S->current != NULL && S->running == L;
}

/* Runs the to-be-closed variables of a coroutine: as a part of the job, if L is
 * one, but they cannot suspend it. */
static int close(struct uj_state *S, lua_State *L, lua_State *co)
{
  bool yields = S->chain_yields;
  int status, depth;
  if (!takes_part(S, L))
    return uj_closethread(co, L);
  S->chain_yields = false;
  depth = S->killing ? uj_kill_go_in(S) : 0;
  uj_interrupt_run(S, co);
  status = uj_closethread(co, L);
  uj_interrupt_run(S, L);
  if (S->killing) {
    lua_sethook(co, NULL, 0, 0);
    uj_kill_come_out(S, depth);
  }
  S->chain_yields = yields;
  return status;
}

/* A coroutine that has failed keeps its to-be-closed variables, as always, for
 * close(). When the job is killed there is nobody left to call that. Each of
 * them is spared as if it were the first. */
static void close_killed(struct uj_state *S, lua_State *L, lua_State *co)
{
  int depth = S->kill_depth;
  S->kill_depth = 0;
  (void)close(S, L, co);
  S->kill_depth = depth;
}

/* Moves the results of a coroutine that has come back. */
static int take_results(lua_State *L, lua_State *co, int nresults)
{
  if (!lua_checkstack(L, nresults + 1)) {
    lua_pop(co, nresults);
    lua_pushliteral(L, "too many results to resume");
    return FAILED;
  }
  lua_xmove(co, L, nresults);
  return nresults;
}

/* The coroutine is not a part of the job any more, and neither are its scopes;
 * unless the job is parked in it. Returns whether it is. */
static bool come_out(struct uj_state *S, lua_State *L, int status,
                     struct uj_scope *scope)
{
  struct uj_job *core = &S->current->core;
  if (status == LUA_YIELD && core->place != UJ_AT_NONE) {
    lua_pushlightuserdata(L, scope);
    lua_replace(L, AT_SCOPE);
    mark_parked(S, L);
    return true;
  }
  uj_job_limit(core, (uint64_t)lua_tointeger(L, AT_DEADLINE),
               lua_toboolean(L, AT_PROTECT));
  uj_interrupt_limits_changed(S);
  if (scope != NULL && status == LUA_YIELD) {
    lua_pushvalue(L, AT_CO);
    lua_pushlightuserdata(L, scope);
    set_mark(S, L);
  }
  return false;
}

/* It did run: Lua has not refused to resume it, because it is not suspended. */
static bool has_failed(lua_State *co)
{
  return lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD;
}

/* Resumes the coroutine at AT_CO with what is above AT_TOP. Leaves its results
 * on the top and returns their number; or FAILED with an error; or PARKED. */
static int go_in(struct uj_state *S, lua_State *L)
{
  lua_State *co = lua_tothread(L, AT_CO);
  struct uj_nest nest = {S->nest, co, lua_touserdata(L, AT_SCOPE)};
  bool part = takes_part(S, L);
  int nargs = lua_gettop(L) - AT_TOP, nresults, status;
  if (!lua_checkstack(co, nargs)) {
    lua_pushliteral(L, "too many arguments to resume");
    return FAILED;
  }
  lua_xmove(L, co, nargs);
  if (part)
    S->nest = &nest;
  status = uj_host_resume_nested(S, co, L, nargs, &nresults);
  if (part) {
    S->nest = nest.outer;
    if (come_out(S, L, status, nest.scope))
      return PARKED;
  }
  if (status == LUA_OK || status == LUA_YIELD)
    return take_results(L, co, nresults);
  if (part && S->killing && has_failed(co))
    close_killed(S, L, co);
  lua_xmove(co, L, 1);
  return FAILED;
}

/* [-0, +1, -] Pushes the innermost scope that a coroutine is suspended in, or
 * NULL, and enters its scopes again. */
static void enter_scopes(struct uj_state *S, lua_State *L)
{
  struct uj_scope *scope;
  lua_pushvalue(L, AT_CO);
  if (lua_status(lua_tothread(L, AT_CO)) != LUA_YIELD ||
      get_mark(S, L) != LUA_TLIGHTUSERDATA) {
    lua_pop(L, 1);
    lua_pushlightuserdata(L, NULL);
    return;
  }
  scope = lua_touserdata(L, -1);
  uj_scope_enter_again(&S->current->core, scope);
  lua_pushvalue(L, AT_CO);
  lua_pushboolean(L, 0);
  set_mark(S, L);
}

/* Stack: coroutine, arguments. Puts what is to be kept between them, and
 * resumes the coroutine. */
static int begin(struct uj_state *S, lua_State *L)
{
  luaL_checkstack(L, 8, "too many arguments to resume");
  if (is_parked(S, L, AT_CO)) {
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
    return FAILED;
  }
  if (takes_part(S, L)) {
    lua_pushthread(L);
    reserve_mark(S, L);
    lua_pushvalue(L, AT_CO);
    reserve_mark(S, L);
    lua_pushinteger(L, (lua_Integer)S->current->core.deadline_ns);
    lua_pushboolean(L, S->current->core.protect);
    enter_scopes(S, L);
  } else {
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushnil(L);
  }
  lua_rotate(L, AT_DEADLINE, AT_TOP - AT_CO);
  return go_in(S, L);
}

/* The job goes on. Stack: as for go_in(). */
static int go_on(struct uj_state *S, lua_State *L)
{
  luaL_checkstack(L, 8, "too many values to resume");
  unmark(S, L);
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

/* An error comes out as of Lua's own: after the variables were closed, and with
 * the place when it is a text. */
static int wrap_result(lua_State *L, int nresults)
{
  lua_State *co = lua_tothread(L, AT_CO);
  int status = lua_status(co);
  if (nresults >= 0)
    return nresults;
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_pushvalue(L, -1);
    lua_xmove(L, co, 1); /* the error: closing takes it from there */
    status = close(uj_state(L), L, co);
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int wrapped_on(lua_State *L, int status, lua_KContext ctx)
{
  int nresults = go_on(uj_state(L), L);
  (void)status;
  return nresults == PARKED ? lua_yieldk(L, 0, ctx, wrapped_on)
                            : wrap_result(L, nresults);
}

/* Upvalue 2 is the coroutine. */
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

/* Of the coroutine at index 1. */
static const char *status_of(struct uj_state *S, lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  lua_Debug ar;
  if (co == L)
    return "running";
  if (lua_status(co) == LUA_YIELD)
    return is_parked(S, L, 1) ? "normal" : "suspended";
  if (lua_status(co) != LUA_OK)
    return "dead";
  if (lua_getstack(co, 0, &ar))
    return "normal";
  return lua_gettop(co) == 0 ? "dead" : "suspended";
}

static int l_status(lua_State *L)
{
  luaL_argexpected(L, lua_isthread(L, 1), 1, "thread");
  lua_pushstring(L, status_of(uj_state(L), L));
  return 1;
}

static int l_close(lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  const char *status;
  luaL_argexpected(L, co != NULL, 1, "thread");
  status = status_of(uj_state(L), L);
  if (status[0] != 'd' && status[0] != 's')
    return luaL_error(L, "cannot close a %s coroutine", status);
  if (close(uj_state(L), L, co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

/* [-0, +0, m] Makes the table of marks. */
static void make_marks(struct uj_state *S, lua_State *L)
{
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  uj_hub_set(S->hub, L, UJ_HUB_NESTED);
}

void uj_coroutine_register(lua_State *L, int state)
{
  static const luaL_Reg functions[] = {{"resume", l_resume},
                                       {"wrap", l_wrap},
                                       {"status", l_status},
                                       {"close", l_close},
                                       {NULL, NULL}};
  state = lua_absindex(L, state);
  make_marks(lua_touserdata(L, state), L);
  lua_newtable(L);
  uj_object_set_functions(L, state, functions);
}
