#include "lua/api/idle.h"

#include <lauxlib.h>

#include "core/sched.h"
#include "lua/base/args.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"

/* The stack while it waits: the time until which it does is an integer on the
 * stack, because a continuation's context can be too small for it. */
enum { AT_SELF = 1, AT_DUE };

static int waited(lua_State *L, int status, lua_KContext ctx);

static int park(lua_State *L, struct uj_ljob *caller)
{
  return uj_suspend(L, caller, &uj_lsched_at(L, AT_SELF)->core.idle,
                    (uint64_t)lua_tointeger(L, AT_DUE), UJ_OP_IDLE, waited);
}

/* It was idle, or the time is over. Jobs may have been spawned since: then it
 * waits on, so that the scheduler is idle when the call returns. */
static int waited(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  enum uj_wake wake = uj_suspend_result(S, L);
  (void)status;
  (void)ctx;
  if (uj_lsched_at(L, AT_SELF)->core.nlive == 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (wake == UJ_WAKE_OK)
    return park(L, S->current);
  lua_pushnil(L);
  lua_pushliteral(L, "timeout");
  return 2;
}

int uj_idle_wait(lua_State *L)
{
  static const struct uj_callee callee = {"wait_idle", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  struct uj_ljob *caller;
  if (S->current != NULL && S->current->core.sched == &sched->core)
    return luaL_error(L, "a job cannot wait for its own scheduler");
  caller = uj_suspend_check(S, L, callee.name);
  if (sched->core.nlive == 0 && !uj_suspend_needed(caller)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_settop(L, AT_SELF);
  lua_pushinteger(L, (lua_Integer)uj_suspend_due(S, span_ns));
  return park(L, caller);
}
