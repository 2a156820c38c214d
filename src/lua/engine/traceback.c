#include "lua/engine/traceback.h"

#include <lauxlib.h>

#include "core/sched.h"
#include "lua/engine/nest.h"
#include "lua/state/job.h"

/* [-0, +1, m] Pushes what a parked job waits for, or an empty string. */
static void push_wait(lua_State *L, const struct uj_ljob *job)
{
  static const char *const ops[] = {
      [UJ_OP_NONE] = "",
      [UJ_OP_YIELD] = ", in yield",
      [UJ_OP_PREEMPTED] = ", preempted",
      [UJ_OP_SLEEP] = ", in sleep",
      [UJ_OP_AWAIT] = ", in await",
      [UJ_OP_WORK] = ", in work",
      [UJ_OP_POLL] = ", in cqueues.poll",
      [UJ_OP_WAIT] = ", waiting for a job",
      [UJ_OP_CLOSE] = ", closing a job",
      [UJ_OP_SHIELD] = ", in shield",
      [UJ_OP_SPAWN] = ", in spawn",
      [UJ_OP_IDLE] = ", waiting for a scheduler",
      [UJ_OP_EVENT] = ", waiting for an event",
      [UJ_OP_GET] = ", waiting to get from a queue",
      [UJ_OP_PUT] = ", waiting to put into a queue",
      [UJ_OP_ACQUIRE] = ", waiting for a semaphore",
      [UJ_OP_LOCK] = ", waiting for a mutex",
  };
  struct uj_loop *loop = job->core.sched->loop;
  uint64_t now_ns = uj_loop_now(loop);
  if (job->core.place == UJ_AT_READY && !job->core.started)
    lua_pushliteral(L, ", about to start");
  else if (job->core.place != UJ_AT_WAIT && job->core.place != UJ_AT_READY)
    lua_pushliteral(L, "");
  else if (uj_timer_armed(&job->core.timer) && job->core.timer.due_ns > now_ns)
    lua_pushfstring(L, "%s, %f s left", ops[job->core.op],
                    (LUAI_UACNUMBER)(job->core.timer.due_ns - now_ns) / 1e9);
  else
    lua_pushstring(L, ops[job->core.op]);
  if (job->core.place == UJ_AT_WAIT && job->core.target != NULL &&
      (job->core.op == UJ_OP_WAIT || job->core.op == UJ_OP_CLOSE)) {
    lua_pushfstring(L, ", #%I", (LUAI_UACINT)job->core.target->id);
    lua_concat(L, 2);
  }
}

void uj_traceback_push(lua_State *L, int idx)
{
  const struct uj_ljob *job = uj_ljob_at(L, idx);
  struct uj_state *S = uj_state_of(job->core.sched->loop);
  int top = lua_gettop(L) + 1;
  luaL_tolstring(L, idx, NULL);
  push_wait(L, job);
  lua_concat(L, 2);
  if (job->co != NULL)
    uj_nest_push_traceback(
        S, L, job, job == S->current && L == S->running ? 1 : UJ_NEST_PARKED,
        lua_tostring(L, top));
  else {
    uj_ljob_get_extra(L, idx, "traceback");
    if (!lua_isnil(L, -1))
      lua_pushfstring(L, "%s\n%s", lua_tostring(L, top), lua_tostring(L, -1));
    else
      lua_pushvalue(L, top);
  }
  lua_replace(L, top);
  lua_settop(L, top);
}
