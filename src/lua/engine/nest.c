#include "lua/engine/nest.h"

#include <lauxlib.h>

#include "lua/base/backtrace.h"
#include "lua/base/inside.h"
#include "lua/engine/covered.h"
#include "lua/state/job.h"

/* ---- marks --------------------------------------------------------------- */

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

void uj_nest_reserve(struct uj_state *S, lua_State *L)
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

bool uj_nest_is_parked(struct uj_state *S, lua_State *L, int idx)
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

void uj_nest_mark(struct uj_state *S, lua_State *L, int idx)
{
  if (!uj_nest_is_parked(S, L, idx)) {
    lua_pushvalue(L, idx);
    lua_pushboolean(L, 1);
    set_mark(S, L);
  }
  lua_pushthread(L);
  lua_pushvalue(L, idx);
  set_mark(S, L);
}

void uj_nest_unmark(struct uj_state *S, lua_State *L, int idx)
{
  lua_pushthread(L);
  lua_pushboolean(L, 0);
  set_mark(S, L);
  lua_pushvalue(L, idx);
  if (get_mark(S, L) == LUA_TBOOLEAN) {
    lua_pushvalue(L, idx);
    lua_pushboolean(L, 0);
    set_mark(S, L);
  }
  lua_pop(L, 1);
}

void uj_nest_keep_scope(struct uj_state *S, lua_State *L, int idx,
                        struct uj_scope *scope)
{
  lua_pushvalue(L, idx);
  lua_pushlightuserdata(L, scope);
  set_mark(S, L);
}

struct uj_scope *uj_nest_take_scope(struct uj_state *S, lua_State *L, int idx)
{
  struct uj_scope *scope;
  if (lua_status(lua_tothread(L, idx)) != LUA_YIELD)
    return NULL;
  lua_pushvalue(L, idx);
  (void)get_mark(S, L);
  scope = lua_touserdata(L, -1); /* NULL for any other mark */
  lua_pop(L, 1);
  if (scope == NULL)
    return NULL;
  lua_pushvalue(L, idx);
  lua_pushboolean(L, 0);
  set_mark(S, L);
  return scope;
}

void uj_nest_set_scope(struct uj_state *S, lua_State *co,
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

void uj_nest_register(struct uj_state *S, lua_State *L)
{
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  uj_hub_set(S->hub, L, UJ_HUB_NESTED);
}

/* ---- the coroutines of a job --------------------------------------------- */

/* [hub: -0, +1, -] Pushes the job's own coroutine. It cannot be asked for
 * itself, as its stack can be full. What keeps it has it, too: see
 * engine/pool.h. */
static void push_own(struct uj_state *S, const struct uj_ljob *job)
{
  lua_State *hub = S->hub;
  if (job->co_slot != 0) {
    uj_slots_push(S->threads, hub, job->co_slot);
    return;
  }
  uj_ljob_push_inside(S, hub, job);
  uj_ljob_get_value(hub, job, -1);
  lua_remove(hub, -2);
}

/* The coroutine that a parked job waits in, `n` steps below its own; NULL when
 * there are fewer. */
static lua_State *parked_in(struct uj_state *S, const struct uj_ljob *job,
                            int n)
{
  lua_State *hub = S->hub, *co = job->co;
  push_own(S, job);
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

lua_State *uj_nest_parked(struct uj_state *S, const struct uj_ljob *job)
{
  return parked_in(S, job, count_steps(S, job));
}

void uj_nest_close(struct uj_state *S, const struct uj_ljob *job,
                   lua_State *from)
{
  for (int n = count_steps(S, job); n >= 0; n--)
    (void)uj_inside_closethread(parked_in(S, job, n), from);
}

static void close_unhooked(lua_State *co, lua_State *from)
{
  lua_sethook(co, NULL, 0, 0);
  (void)uj_inside_closethread(co, from);
}

void uj_nest_close_running(const struct uj_nest *nest,
                           const struct uj_ljob *job, lua_State *from)
{
  for (; nest != NULL; nest = nest->outer)
    close_unhooked(nest->co, from);
  close_unhooked(job->co, from);
}

/* Of the coroutines between the one that runs, or is covered, and the job's own
 * nothing is known: they are not marked. */
void uj_nest_push_traceback(struct uj_state *S, lua_State *L,
                            const struct uj_ljob *job, int skip,
                            const char *text)
{
  bool runs = skip != UJ_NEST_PARKED;
  const struct uj_cover *cover = runs ? NULL : uj_cover_of(S, job);
  int n = count_steps(S, job);
  lua_State *inner = runs            ? L
                     : cover != NULL ? cover->co
                                     : parked_in(S, job, n);
  if (runs || cover != NULL)
    n = inner != job->co ? 1 : 0;
  uj_backtrace_push(L, inner, text, runs ? skip : 0);
  while (--n >= 0) {
    uj_backtrace_push(L, parked_in(S, job, n),
                      "\nin a coroutine that was resumed at", 0);
    lua_concat(L, 2);
  }
}

/* (state, job, calls to skip) */
static int keep_traceback(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  struct uj_ljob *job = lua_touserdata(L, 2);
  uj_ljob_push(S, L, job);
  uj_nest_push_traceback(S, L, job, (int)lua_tointeger(L, 3), NULL);
  uj_ljob_set_extra(L, -2, "traceback");
  return 0;
}

void uj_nest_keep_traceback(struct uj_state *S, lua_State *L,
                            struct uj_ljob *job, int skip)
{
  lua_pushcfunction(L, keep_traceback);
  lua_pushlightuserdata(L, S);
  lua_pushlightuserdata(L, job);
  /* That function is a call itself. */
  lua_pushinteger(L, skip == UJ_NEST_PARKED ? skip : skip + 1);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}
