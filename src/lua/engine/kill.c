#include "lua/engine/kill.h"

#include "core/sched.h"
#include "loop/driver.h"
#include "lua/engine/hook.h"
#include "lua/engine/hookerror.h"
#include "lua/engine/killing.h"
#include "lua/engine/nest.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

/* The hook sees every instruction and every call. It lets no instruction of the
 * job's own functions run, but raises the error instead, again and again where
 * a pcall has caught it. So the only calls it sees are those that Lua makes by
 * itself while the error travels: of message handlers and of `__close`. Such a
 * call is spared, with all that it calls: as long as the stack is as deep as it
 * was when it began, `kill->depth`. It is spared for one close timeout; then
 * the error is raised in it, too, and the next one has its turn (M7). */

/* The clock is read once in so many instructions. */
enum { CLOCK_EVERY = 1024 };

/* The depth of a stack of up to so many levels is checked with every
 * instruction. */
enum { SHALLOW = 200 };

/* Doubles the depth and then halves the interval: Lua walks from the top to
 * reach a level, so trying them one by one would cost the square of the depth.
 */
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

static void raise_in_hook(struct uj_state *S, lua_State *L)
{
  uj_suspend_push_killed(S, L);
  uj_hookerror_raise(S, L, true);
}

static void spare(struct uj_state *S, int depth)
{
  uint64_t close_ns = S->current->core.sched->close_ns;
  S->kill->depth = depth;
  S->kill->count = 0;
  S->kill->until_ns = uj_clock_add(uj_driver_now(), close_ns);
}

/* Whether the stack is still as deep as when the spared call began. The deeper
 * it is, the longer that takes to find out, and the more rarely it is done. */
static bool in_spared_call(const struct uj_killing *kill, lua_State *L)
{
  lua_Debug ar;
  if (kill->depth <= 0)
    return kill->depth == UJ_KILLING_ALL_SPARED;
  if (kill->count % (uint64_t)(kill->depth / SHALLOW + 1) != 0)
    return true;
  return lua_getstack(L, kill->depth - 1, &ar);
}

static bool has_time(struct uj_killing *kill)
{
  return ++kill->count % CLOCK_EVERY != 0 || uj_driver_now() < kill->until_ns;
}

/* Whether the hook is on a coroutine that it is not meant for: one that was
 * made by a handler inherits it. */
static bool is_stray(const struct uj_state *S, lua_State *L)
{
  return !S->killing || S->current == NULL ||
         (S->running != L && S->native != L && S->kill->inner != L);
}

/* A coroutine that yielded in a hook runs one instruction before this one is
 * called. If that is a call, it comes before `killed` has begun, and so is not
 * taken for one of a handler. */
void uj_kill_hook(lua_State *L, lua_Debug *ar)
{
  struct uj_state *S = uj_state_registered(L);
  if (is_stray(S, L)) {
    lua_sethook(L, NULL, 0, 0);
  } else if (ar->event != LUA_HOOKCOUNT && S->kill->begun) {
    if (!in_spared_call(S->kill, L))
      spare(S, stack_depth(L));
  } else if (!in_spared_call(S->kill, L) || !has_time(S->kill)) {
    S->kill->depth = 0;
    raise_in_hook(S, L);
  }
}

void uj_kill_running(struct uj_state *S, lua_State *L)
{
  uj_nest_keep_traceback(S, L, S->current, 0);
  S->current->core.wake = UJ_WAKE_KILLED;
  uj_killing_begin(S);
  S->kill->inner = L;
  uj_hook_set_kill(S, L);
  uj_hook_set_kill(S, S->running);
  raise_in_hook(S, L);
}
