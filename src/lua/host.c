#include "lua/host.h"

#include <lauxlib.h>

#include "loop/driver.h"
#include "lua/api/closing.h"
#include "lua/api/mutex.h"
#include "lua/api/nursery.h"
#include "lua/api/order.h"
#include "lua/api/testing.h"
#include "lua/base/inside.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/embed.h"
#include "lua/engine/ahead.h"
#include "lua/engine/alarms.h"
#include "lua/engine/announce.h"
#include "lua/engine/body.h"
#include "lua/engine/hook.h"
#include "lua/engine/killing.h"
#include "lua/engine/nest.h"
#include "lua/engine/pool.h"
#include "lua/engine/report.h"
#include "lua/engine/resume.h"
#include "lua/engine/watchers.h"
#include "lua/policy/rate.h"
#include "lua/repeating/repeating.h"
#include "lua/state/error.h"
#include "lua/state/job.h"
#include "lua/state/unseen.h"
#include "lua/supervisor/children.h"

static uint64_t host_now(struct uj_loop *loop)
{
  const struct uj_state *S = uj_state_of(loop);
  return S->is_virtual ? S->virtual_ns : uj_driver_now();
}

/* ---- a job has stopped --------------------------------------------------- */

/* [-1, +0, -] Makes the value on the top of L the job's error. L can be a
 * coroutine that has failed, whose stack has no room. */
static enum uj_job_state fail(struct uj_state *S, lua_State *L,
                              struct uj_ljob *job)
{
  lua_State *hub = S->hub;
  uj_ljob_push_inside(S, hub, job);
  lua_xmove(L, hub, 1);
  uj_ljob_set_value(hub, job, -2);
  lua_pop(hub, 1);
  job->nresults = UJ_RESULTS_ONE;
  return UJ_JOB_FAILED;
}

/* Raises the error, before its next instruction, in a job that has yielded
 * past us. */
static void foreign_hook(lua_State *L, lua_Debug *ar)
{
  struct uj_state *S = uj_state_registered(L);
  (void)ar;
  uj_hook_reset_stray(S, L);
  if (S->current != NULL && S->running == L)
    luaL_error(L, "%s", UJ_FOREIGN_YIELD);
}

/* The job has called coroutine.yield() in its own coroutine, as if we were the
 * consumer of a generator. Nobody would ever resume it: so it is resumed to
 * meet an error. */
static enum uj_job_state foreign_yield(struct uj_ljob *job)
{
  uj_job_yield(&job->core);
  lua_sethook(job->co, foreign_hook, LUA_MASKCOUNT, 1);
  return UJ_JOB_ACTIVE;
}

/* The error of a killed job is `killed`, whatever came out of its function. */
static void forget_outcome(struct uj_state *S, struct uj_ljob *job)
{
  lua_State *hub = S->hub;
  uj_ljob_push_inside(S, hub, job);
  uj_ljob_get_value(hub, job, -1);
  if (job->nresults != UJ_RESULTS_ONE ||
      !uj_error_is(hub, -1, UJ_CODE_KILLED, job)) {
    job->nresults = UJ_RESULTS_NONE;
    lua_pushnil(hub);
    uj_ljob_set_value(hub, job, -3);
  }
  lua_pop(hub, 2);
}

/* A job was ended by force, waiting or at work. If it escaped from that by a
 * yield of its own, its coroutine is closed. */
static enum uj_job_state killed(struct uj_state *S, struct uj_ljob *job,
                                int status)
{
  lua_State *co = job->co;
  uj_killing_end(S);
  if (status != LUA_OK) {
    lua_sethook(co, NULL, 0, 0);
    S->current = job;
    S->running = co;
    uj_nest_close(S, job, S->L);
    S->running = NULL;
    S->current = NULL;
  }
  lua_settop(co, 0);
  forget_outcome(S, job);
  uj_pool_give(S, job);
  return UJ_JOB_KILLED;
}

/* A hook that was to raise an error in the job is still there: nothing was left
 * to run. */
static enum uj_job_state ended_before_hook(struct uj_state *S,
                                           struct uj_ljob *job,
                                           enum uj_job_state state)
{
  lua_State *co = job->co;
  if (lua_gethook(co) == foreign_hook) {
    lua_sethook(co, NULL, 0, 0);
    uj_hub_push(S->hub, co, UJ_HUB_FOREIGN_YIELD);
    return fail(S, co, job);
  }
  if (!uj_cqueues_remove_hook(S, co) || !job->core.cancel)
    return state;
  job->nresults = UJ_RESULTS_NONE; /* its error is made when asked for */
  return UJ_JOB_CANCELLED;
}

static enum uj_job_state ended(struct uj_state *S, struct uj_ljob *job,
                               int status)
{
  lua_State *co = job->co;
  enum uj_job_state state;
  if (status == LUA_OK && uj_ljob_outcome(job) == UJ_JOB_NEW)
    status = uj_body_closed(job);
  state = uj_ljob_outcome(job);
  if (status != LUA_OK) { /* the body had no memory for the results */
    state = fail(S, co, job);
    uj_inside_closethread(co, S->L);
    lua_settop(co, 0);
  } else if (lua_gethook(co) != NULL)
    state = ended_before_hook(S, job, state);
  uj_pool_give(S, job);
  return state;
}

/* ---- a job runs ---------------------------------------------------------- */

/* The job has yielded `nresults` values: to suspend, to cqueues, or past us. */
static enum uj_job_state yielded(struct uj_state *S, struct uj_ljob *job,
                                 int nresults)
{
  if (job->core.place != UJ_AT_NONE)
    return UJ_JOB_ACTIVE;
  if (uj_cqueues_is_poll(S, job, nresults)) {
    uj_cqueues_poll(S, job, nresults);
    return UJ_JOB_ACTIVE;
  }
  lua_pop(job->co, nresults);
  return foreign_yield(job);
}

/* Resumes a job that has a coroutine. Returns lua_resume()'s status when it has
 * suspended or ended. */
static int run_stretch(struct uj_state *S, struct uj_ljob *job, int *nresults)
{
  int nargs = (int)job->ninputs;
  job->ninputs = 0;
  return uj_resume_job(S, job, nargs, nresults);
}

/* Returns false when there is no memory for the coroutine. */
static bool start(struct uj_state *S, struct uj_ljob *job)
{
  uj_announce_start(S, job);
  return uj_body_start(S, job);
}

/* Runs a job until it suspends or ends. */
static enum uj_job_state go_on(struct uj_state *S, struct uj_ljob *job)
{
  int status, nresults;
  if (job->co == NULL && !start(S, job)) {
    uj_hub_push(S->hub, S->L, UJ_HUB_NO_MEMORY);
    return fail(S, S->L, job);
  }
  if (job->core.op == UJ_LOP_POLL)
    uj_cqueues_go_on(S, job);
  status = run_stretch(S, job, &nresults);
  if (S->killing)
    return killed(S, job, status);
  return status == LUA_YIELD ? yielded(S, job, nresults)
                             : ended(S, job, status);
}

static enum uj_job_state host_resume(struct uj_loop *loop, struct uj_job *core)
{
  struct uj_state *S = uj_state_of(loop);
  struct uj_ljob *job = uj_ljob_of(core);
  enum uj_job_state state;
  if (S->pool->used > UJ_AHEAD_MANY)
    uj_ahead_of(&loop->batch);
  state = go_on(S, job);
  if (S->fault->job == job && state == UJ_JOB_ACTIVE)
    uj_testing_suspended(S, job);
  return state;
}

/* A waiting job is killed by resuming it with an error that it cannot swallow.
 */
static void host_kill(struct uj_loop *loop, struct uj_job *core)
{
  struct uj_state *S = uj_state_of(loop);
  uj_nest_keep_traceback(S, S->L, uj_ljob_of(core), UJ_NEST_PARKED);
  uj_killing_begin(S);
  (void)host_resume(loop, core);
}

/* ---- a job has ended ----------------------------------------------------- */

/* Tells who is to hear of the end. Returns whether the scheduler keeps the job,
 * which has made it fail. */
static bool tell_end(struct uj_state *S, struct uj_ljob *job)
{
  const struct uj_job *core = &job->core;
  bool failed = core->state == UJ_JOB_FAILED && !job->is_awaited &&
                (core->heard & UJ_HEARS_FAILED) == 0;
  bool was_killed =
      core->state == UJ_JOB_KILLED && (core->heard & UJ_HEARS_KILLED) == 0;
  uj_testing_ended(S, job);
  if (core->nlocks > 0 && uj_lmutex_unlock_all(S, job) > 0)
    uj_report_locked(S, job);
  if (failed && uj_nursery_fail(job))
    return true;
  if (failed || was_killed)
    uj_report_job(S, job);
  return false;
}

/* Whether nothing but its slot is to be given back, as with nearly every job.
 */
static bool ends_unheard(const struct uj_state *S, const struct uj_ljob *job)
{
  const struct uj_job *core = &job->core;
  return S->nwatched == 0 && S->fault->job != job && core->nlocks == 0 &&
         core->state != UJ_JOB_FAILED && core->state != UJ_JOB_KILLED &&
         !core->sched->announces_ends && !job->repeats && !job->is_child &&
         !core->ranked;
}

/* Not inlined, because host_ended() would then save registers that only this
 * needs. */
__attribute__((noinline)) static void ended_heard(struct uj_state *S,
                                                  struct uj_ljob *job)
{
  bool kept;
  if (S->nwatched > 0)
    uj_watchers_wake(S, job, false);
  kept = tell_end(S, job);
  uj_announce_end(S, job);
  if (job->core.ranked)
    uj_lorder_forget(S, job);
  if (job->repeats)
    uj_repeating_ended(S, job);
  if (job->is_child)
    uj_children_ended(S, job);
  if (!kept)
    uj_ljob_release(S, job);
}

static void host_ended(struct uj_loop *loop, struct uj_job *core)
{
  struct uj_state *S = uj_state_of(loop);
  struct uj_ljob *job = uj_ljob_of(core);
  if (!ends_unheard(S, job))
    ended_heard(S, job);
  else if (core->unseen)
    uj_unseen_give(S, job);
  else
    uj_slots_drop(&S->jobs, job->slot);
}

static void host_late(struct uj_loop *loop, struct uj_job *core)
{
  uj_closing_late(uj_state_of(loop), uj_ljob_of(core));
}

static void host_wake(struct uj_loop *loop)
{
  uj_embed_wake(uj_state_of(loop));
}

static uint64_t host_grace(struct uj_loop *loop, struct uj_job *core)
{
  return uj_ljob_close_ns(uj_state_of(loop), uj_ljob_of(core));
}

static void host_alarm(struct uj_loop *loop)
{
  struct uj_state *S = uj_state_of(loop);
  if (uj_alarms_take(S, UJ_ALARM_REPEATING))
    uj_repeating_ring(S);
  if (uj_alarms_take(S, UJ_ALARM_RATES))
    uj_rates_ring(S);
  uj_alarms_rearm(S);
}

const struct uj_host uj_host = {
    .now = host_now,
    .resume = host_resume,
    .kill = host_kill,
    .ended = host_ended,
    .late = host_late,
    .grace_ns = host_grace,
    .wake = host_wake,
    .alarm = host_alarm,
    .rank_offset = UJ_RANK_OFFSET,
};
