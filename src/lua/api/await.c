#include "lua/api/await.h"

#include <lauxlib.h>

#include "lua/base/args.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

#define AWAIT_TYPE "uvjobs.Await"

/* One await. The job's stack has it, and so has the function `resume` that it
 * gave to `start`: whichever lives longer. It is a to-be-closed variable of
 * await(): so the operation is abandoned however the job leaves it. */
struct await {
  struct uj_ljob *job; /* NULL when its job does not wait for it any more */
  int nvalues;  /* that `resume` left in the user value before the job waited */
  bool waiting; /* the job is parked in this await */
  bool resumed; /* a call of `resume` has taken effect */
};

/* The user values: a table of the early values, and the function that abandons
 * the operation. */
enum { UV_VALUES = 1, UV_ABANDON, UV_COUNT = UV_ABANDON };

/* The stack of await(). */
enum { AT_CELL = 1, AT_START };

/* [-n, +0, m] Keeps the values that came before the job waited. */
static void keep_values(lua_State *L, int cell, struct await *await, int n)
{
  lua_createtable(L, n, 0);
  lua_insert(L, -1 - n);
  for (int i = n; i > 0; i--)
    lua_rawseti(L, -1 - i, i);
  lua_setiuservalue(L, cell, UV_VALUES);
  await->nvalues = n;
}

/* resume(...): upvalue 2 is the cell. The values go straight to the stack of
 * the job that waits. */
static int resume(lua_State *L)
{
  struct await *await = lua_touserdata(L, lua_upvalueindex(2));
  int n = lua_gettop(L);
  struct uj_ljob *job = await->job;
  if (job == NULL || await->resumed)
    return 0;
  if (!await->waiting) { /* `start` has not returned */
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

/* (cell, error) */
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

static int early_values(lua_State *L, const struct await *await)
{
  int n = await->nvalues;
  luaL_checkstack(L, n + 1, "too many values");
  lua_getiuservalue(L, AT_CELL, UV_VALUES);
  for (int i = 1; i <= n; i++)
    lua_rawgeti(L, AT_START + 1, i);
  return n;
}

/* Stack: cell, what `start` returned. */
static int started(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  struct await *await = lua_touserdata(L, AT_CELL);
  (void)status;
  (void)ctx;
  lua_pushvalue(L, AT_START);
  lua_setiuservalue(L, AT_CELL, UV_ABANDON);
  if (await->resumed)
    return early_values(L, await);
  await->waiting = !uj_suspend_needed(S->current);
  return uj_suspend(L, S->current, NULL, UJ_NEVER, UJ_OP_AWAIT, awaited);
}

/* [-0, +1, m] Pushes the cell; it is closed when await() is left. */
static void push_cell(lua_State *L, struct uj_ljob *job)
{
  struct await *await = lua_newuserdatauv(L, sizeof(*await), UV_COUNT);
  await->job = job;
  await->nvalues = 0;
  await->waiting = false;
  await->resumed = false;
  luaL_setmetatable(L, AWAIT_TYPE);
}

static int l_await(lua_State *L)
{
  static const struct uj_callee callee = {"await", 0};
  struct uj_state *S = uj_state(L);
  struct uj_ljob *self;
  uj_arg_function(L, &callee, 1);
  self = uj_suspend_check(S, L, callee.name);
  if (uj_suspend_needed(self)) /* nothing is started */
    return uj_suspend(L, self, NULL, UJ_NEVER, UJ_OP_AWAIT, awaited);
  lua_settop(L, 1);
  push_cell(L, self);
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
