#include "lua/api/await.h"

#include <lauxlib.h>

#include "lua/base/args.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

#define AWAIT_TYPE "uvjobs.Await"

/* The cell of one call of await(). Two refer to it, and it lives as long as
 * either: the stack of the job, and the function `resume` that `start` was
 * given. On the stack it is a to-be-closed variable, so the operation is
 * abandoned however the job leaves await(). */
struct await {
  struct uj_ljob *job; /* NULL when the job has left await() */
  int nvalues;         /* how many early values there are */
  bool waiting;        /* the job is parked in this await() */
  bool resumed;        /* a call of `resume` has taken effect, or none will */
};

/* The user values. */
enum {
  UV_VALUES = 1, /* table: early values, those of a `resume` that was called
                    before the job waited */
  UV_ABANDON,    /* the function that `start` returned, if any: it abandons the
                    operation */
  UV_COUNT = UV_ABANDON
};

/* The stack of await(). */
enum { AT_CELL = 1, AT_START };

/* [-n, +0, m] Keeps the n topmost values as early values. */
static void keep_values(lua_State *L, int cell, struct await *await, int n)
{
  lua_createtable(L, n, 0);
  lua_insert(L, -1 - n);
  for (int i = n; i > 0; i--)
    lua_rawseti(L, -1 - i, i);
  lua_setiuservalue(L, cell, UV_VALUES);
  await->nvalues = n;
}

/* resume(...); upvalue 2 is the cell. It hands the values to the job, or keeps
 * them when it is called before `start` has returned. */
static int resume(lua_State *L)
{
  struct await *await = lua_touserdata(L, lua_upvalueindex(2));
  int n = lua_gettop(L);
  struct uj_ljob *job = await->job;
  if (job == NULL || await->resumed)
    return 0;
  if (!await->waiting) {
    keep_values(L, lua_upvalueindex(2), await, n);
    await->resumed = true;
  } else if (job->core.place == UJ_AT_WAIT) {
    if (!uj_ljob_can_take(job, n))
      return luaL_error(L, "too many values for 'resume'");
    uj_ljob_hand(job, L, n);
    await->resumed = true;
    uj_job_wake(&job->core, UJ_WAKE_OK);
  }
  return 0;
}

/* (cell, error): the job leaves await(). */
static int await_close(lua_State *L)
{
  struct await *await = lua_touserdata(L, 1);
  await->job = NULL;
  if (await->resumed)
    return 0;
  await->resumed = true;
  if (lua_getiuservalue(L, 1, UV_ABANDON) == LUA_TFUNCTION)
    lua_call(L, 0, 0);
  return 0;
}

/* Stack: cell, start, the values of `resume`. */
static int awaited(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  uj_suspend_result(uj_state(L), L);
  return lua_gettop(L) - AT_START;
}

/* [-0, +n, m] Pushes the early values; returns their number. */
static int push_early_values(lua_State *L, const struct await *await)
{
  int n = await->nvalues;
  luaL_checkstack(L, n + 1, "too many values");
  lua_getiuservalue(L, AT_CELL, UV_VALUES);
  for (int i = 1; i <= n; i++)
    lua_rawgeti(L, AT_START + 1, i);
  return n;
}

/* `start` has returned. Stack: cell, what it returned. */
static int started(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  struct await *await = lua_touserdata(L, AT_CELL);
  (void)status;
  (void)ctx;
  lua_pushvalue(L, AT_START);
  lua_setiuservalue(L, AT_CELL, UV_ABANDON);
  if (await->resumed)
    return push_early_values(L, await);
  await->waiting = !uj_suspend_needed(S->current);
  return uj_suspend(L, S->current, NULL, UJ_NEVER, UJ_LOP_AWAIT, awaited);
}

/* [-0, +1, m] Pushes a new cell. */
static void push_cell(lua_State *L, struct uj_ljob *job)
{
  struct await *await = lua_newuserdatauv(L, sizeof(*await), UV_COUNT);
  *await = (struct await){.job = job};
  luaL_setmetatable(L, AWAIT_TYPE);
}

static int l_await(lua_State *L)
{
  static const struct uj_callee callee = {"await", 0};
  struct uj_state *S = uj_state(L);
  struct uj_ljob *caller;
  uj_arg_function(L, &callee, 1);
  caller = uj_suspend_check(S, L, callee.name);
  if (uj_suspend_needed(caller)) /* it raises, and nothing is started */
    return uj_suspend(L, caller, NULL, UJ_NEVER, UJ_LOP_AWAIT,
                      uj_suspend_return_nothing);
  lua_settop(L, 1);
  push_cell(L, caller);
  lua_insert(L, AT_CELL);
  lua_toclose(L, AT_CELL);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, AT_CELL);
  lua_pushcclosure(L, resume, 2);
  lua_callk(L, 1, 1, 0, started);
  return started(L, LUA_OK, 0);
}

void uj_await_register(lua_State *L)
{
  static const luaL_Reg meta[] = {{"__close", await_close}, {NULL, NULL}};
  luaL_newmetatable(L, AWAIT_TYPE);
  luaL_setfuncs(L, meta, 0);
  lua_pop(L, 1);
}

const luaL_Reg uj_await_functions[] = {{"await", l_await}, {NULL, NULL}};
