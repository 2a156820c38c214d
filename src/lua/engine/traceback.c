#include "lua/engine/traceback.h"

#include <lauxlib.h>

#include "core/sched.h"
#include "lua/base/seconds.h"
#include "lua/engine/covered.h"
#include "lua/engine/hook.h"
#include "lua/engine/nest.h"
#include "lua/state/job.h"

static const char *const op_texts[] = {
    [UJ_OP_NONE] = "",
    [UJ_OP_YIELD] = ", in yield",
    [UJ_OP_PREEMPTED] = ", preempted",
    [UJ_LOP_SLEEP] = ", in sleep",
    [UJ_LOP_AWAIT] = ", in await",
    [UJ_LOP_WORK] = ", in work",
    [UJ_LOP_POLL] = ", in cqueues.poll",
    [UJ_OP_WAIT] = ", waiting for a job",
    [UJ_LOP_CLOSE] = ", closing a job",
    [UJ_LOP_SHIELD] = ", in shield",
    [UJ_LOP_REPEATING] = ", waiting for a repetition",
    [UJ_LOP_RATE] = ", waiting for a rate",
    [UJ_LOP_LIMIT] = ", waiting for a limit",
    [UJ_OP_SPAWN] = ", in spawn",
    [UJ_OP_IDLE] = ", waiting for a scheduler",
    [UJ_LOP_EVENT] = ", waiting for an event",
    [UJ_LOP_GET] = ", waiting to get from a queue",
    [UJ_LOP_PUT] = ", waiting to put into a queue",
    [UJ_LOP_CHANNEL_GET] = ", waiting to get from a channel",
    [UJ_LOP_CHANNEL_PUT] = ", waiting to put into a channel",
    [UJ_LOP_ACQUIRE] = ", waiting for a semaphore",
    [UJ_LOP_LOCK] = ", waiting for a mutex",
    [UJ_LOP_SELECT] = ", in select",
};

/* [-0, +1, m] Pushes what a job that is parked or ready does, and how much time
 * it has left for it. */
static void push_op(lua_State *L, const struct uj_job *core)
{
  uint64_t now_ns = uj_loop_now(core->sched->loop);
  if (uj_timer_armed(&core->timer) && core->timer.due_ns > now_ns)
    lua_pushfstring(
        L, "%s, %f s left", op_texts[core->op],
        (LUAI_UACNUMBER)uj_seconds_from_ns(core->timer.due_ns - now_ns));
  else
    lua_pushstring(L, op_texts[core->op]);
}

/* [-1, +1, m] Adds the number of the job that this one waits for. */
static void add_target(lua_State *L, const struct uj_job *core)
{
  if (core->place != UJ_AT_WAIT || core->target == NULL ||
      (core->op != UJ_OP_WAIT && core->op != UJ_LOP_CLOSE))
    return;
  lua_pushfstring(L, ", #%I", (LUAI_UACINT)core->target->id);
  lua_concat(L, 2);
}

/* A job that cannot start, or spawn another, because a scheduler is paused. */
static bool is_paused(const struct uj_job *core)
{
  if (core->place == UJ_AT_HELD || core->place == UJ_AT_PENDING)
    return core->sched->paused;
  return core->place == UJ_AT_WAIT && core->op == UJ_OP_SPAWN &&
         core->target != NULL && core->target->sched->paused;
}

/* [-1, +1, m] Says so. */
static void add_paused(lua_State *L, const struct uj_job *core)
{
  if (!is_paused(core))
    return;
  lua_pushliteral(L, ", the scheduler is paused");
  lua_concat(L, 2);
}

/* [-0, +1, m] Pushes what the job waits for, or an empty string. */
static void push_wait(lua_State *L, const struct uj_ljob *job)
{
  const struct uj_job *core = &job->core;
  if (uj_cover_of(uj_state_of(core->sched->loop), job) != NULL)
    lua_pushliteral(L, ", while others run on top of it");
  else if (core->place == UJ_AT_HELD ||
           (core->place == UJ_AT_READY && !core->started))
    lua_pushliteral(L, ", about to start");
  else if (core->place != UJ_AT_WAIT && core->place != UJ_AT_READY)
    lua_pushliteral(L, "");
  else {
    push_op(L, core);
    add_target(L, core);
  }
  add_paused(L, core);
}

/* [-0, +1, m] Pushes `text` and below it the stack of a job that has one. */
static void push_live_stack(struct uj_state *S, lua_State *L,
                            const struct uj_ljob *job, const char *text)
{
  bool runs_here = job == S->current && L == uj_hook_target(S);
  uj_nest_push_traceback(S, L, job, runs_here ? 1 : UJ_NEST_PARKED, text);
}

/* [-0, +1, m] The same of a job that has ended, if it was kept. */
static void push_kept_stack(lua_State *L, int idx, const char *text)
{
  uj_ljob_get_extra(L, idx, "traceback");
  if (lua_isnil(L, -1))
    lua_pushstring(L, text);
  else
    lua_pushfstring(L, "%s\n%s", text, lua_tostring(L, -1));
  lua_remove(L, -2);
}

void uj_traceback_push(lua_State *L, int idx)
{
  const struct uj_ljob *job = uj_ljob_at(L, idx);
  const char *text;
  idx = lua_absindex(L, idx);
  luaL_tolstring(L, idx, NULL);
  push_wait(L, job);
  lua_concat(L, 2);
  text = lua_tostring(L, -1);
  if (job->co != NULL)
    push_live_stack(uj_state_of(job->core.sched->loop), L, job, text);
  else
    push_kept_stack(L, idx, text);
  lua_remove(L, -2);
}

/* [-0, +0, m] Adds the traceback of the job at `job`, and where it was spawned.
 */
static void add_job(lua_State *L, luaL_Buffer *buffer, int job)
{
  uj_traceback_push(L, job);
  luaL_addvalue(buffer);
  uj_ljob_get_extra(L, job, "source");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_pushfstring(L, "\nspawned at, %s", lua_tostring(L, -1));
  lua_remove(L, -2);
  luaL_addvalue(buffer);
}

void uj_traceback_push_list(lua_State *L, int idx)
{
  lua_Integer n = (lua_Integer)lua_rawlen(L, idx);
  luaL_Buffer buffer;
  int job;
  idx = lua_absindex(L, idx);
  lua_pushnil(L);
  job = lua_gettop(L);
  luaL_buffinit(L, &buffer);
  for (lua_Integer i = 1; i <= n; i++) {
    if (i > 1)
      luaL_addstring(&buffer, "\n\n");
    lua_rawgeti(L, idx, i);
    lua_replace(L, job);
    add_job(L, &buffer, job);
  }
  luaL_pushresult(&buffer);
  lua_remove(L, job);
}
