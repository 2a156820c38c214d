#include "lua/engine/kill.h"

#include "core/sched.h"
#include "loop/driver.h"
#include "lua/api/coroutine.h"
#include "lua/engine/hookerror.h"
#include "lua/engine/pool.h"
#include "lua/state/error.h"
#include "lua/state/job.h"

/* A hook sees every instruction and every call. An instruction of the job's own
 * functions is not let run: the error is raised instead of it, and again where
 * a pcall caught it. So the only calls that are seen are those that Lua makes
 * by itself while the error travels: of message handlers and of `__close`. Such
 * a call is spared, with all that it calls, for as long as the stack is as deep
 * as it was when it began: `kill_depth`. It is spared for one close timeout;
 * then the error is raised in it, too, and the next one has its turn (M7). */

/* The clock is looked at once in so many instructions. */
enum { CLOCK_EVERY = 1024 };

/* A stack of so many levels is looked at with every instruction. */
enum { SHALLOW = 200 };

/* As `kill_depth`, in a coroutine that a spared call resumed. */
enum { ALL_SPARED = -1 };

/* Reaching a level takes as long as there are above it: so not one by one. */
static int stack_depth(lua_State *L)
{
  lua_Debug ar;
  int low = 0, high = 1; /* level `high` is not there, what is below `low` is */
  while (lua_getstack(L, high - 1, &ar)) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    int middle = low + (high - low) / 2;
    if (lua_getstack(L, middle - 1, &ar))
      low = middle;
    else
      high = middle;
  }
  return low;
}

static void push_error(struct uj_state *S, lua_State *L)
{
  S->kill_begun = true;
  uj_ljob_push(S, L, S->current);
  uj_error_new(L, UJ_CODE_KILLED);
}

int uj_kill_raise(struct uj_state *S, lua_State *L)
{
  push_error(S, L);
  return lua_error(L);
}

/* The same in a hook. */
static void raise_in_hook(struct uj_state *S, lua_State *L)
{
  push_error(S, L);
  uj_hookerror_raise(S, L, true);
}

static void spare(struct uj_state *S, const struct uj_ljob *job, int depth)
{
  S->kill_depth = depth;
  S->kill_count = 0;
  S->kill_until_ns = uj_clock_add(uj_driver_now(), job->core.sched->close_ns);
}

/* Whether the stack is as deep as when the spared call began. On a deep stack,
 * where looking takes long, it is looked at now and then. */
static bool in_spared_call(const struct uj_state *S, lua_State *L)
{
  lua_Debug ar;
  if (S->kill_depth <= 0)
    return S->kill_depth == ALL_SPARED;
  if (S->kill_count % (uint64_t)(S->kill_depth / SHALLOW + 1) != 0)
    return true;
  return lua_getstack(L, S->kill_depth - 1, &ar);
}

static bool has_time(struct uj_state *S)
{
  return ++S->kill_count % CLOCK_EVERY != 0 ||
         uj_driver_now() < S->kill_until_ns;
}

/* A coroutine that a handler makes inherits the hook, and must lose it. One
 * that yielded in a hook runs one instruction before it sees another; should
 * that be a call, it is none of a handler. */
static void kill_hook(lua_State *L, lua_Debug *ar)
{
  struct uj_state *S = uj_state_registered(L);
  if (!S->killing || S->current == NULL ||
      (S->running != L && S->kill_inner != L)) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  if (ar->event != LUA_HOOKCOUNT && S->kill_begun) {
    if (!in_spared_call(S, L))
      spare(S, S->current, stack_depth(L));
  } else if (!in_spared_call(S, L) || !has_time(S)) {
    S->kill_depth = 0;
    raise_in_hook(S, L);
  }
}

void uj_kill_set_hook(lua_State *co)
{
  lua_sethook(co, kill_hook, LUA_MASKCALL | LUA_MASKCOUNT, 1);
}

void uj_kill_begin(struct uj_state *S)
{
  S->kill_depth = 0;
  S->kill_begun = false;
  S->kill_inner = NULL;
  S->killing = true;
}

void uj_kill_end(struct uj_state *S)
{
  S->killing = false;
  S->kill_inner = NULL;
}

/* (state): where it stood is known only before its stack is gone. */
static int keep_traceback(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  uj_ljob_push(S, L, S->current);
  uj_coroutine_push_traceback(S, L, S->current, true, NULL);
  uj_ljob_set_extra(L, -2, "traceback");
  return 0;
}

void uj_kill_running(struct uj_state *S, lua_State *L)
{
  lua_pushcfunction(L, keep_traceback);
  lua_pushlightuserdata(L, S);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  S->current->core.wake = UJ_WAKE_KILLED;
  uj_kill_begin(S);
  S->kill_inner = L;
  uj_kill_set_hook(L);
  uj_kill_set_hook(S->running);
  raise_in_hook(S, L);
}

int uj_kill_go_in(struct uj_state *S)
{
  int depth = S->kill_depth;
  if (depth != 0)
    S->kill_depth = ALL_SPARED;
  return depth;
}

void uj_kill_come_out(struct uj_state *S, int depth)
{
  if (S->kill_depth != 0)
    S->kill_depth = depth;
}
