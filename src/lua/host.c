#include "lua/host.h"

#include <lauxlib.h>

#include "loop/driver.h"
#include "lua/api/coroutine.h"
#include "lua/api/mutex.h"
#include "lua/api/nursery.h"
#include "lua/api/testing.h"
#include "lua/base/lua54.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/embed.h"
#include "lua/engine/ahead.h"
#include "lua/engine/interrupt.h"
#include "lua/engine/kill.h"
#include "lua/engine/pool.h"
#include "lua/engine/report.h"
#include "lua/state/error.h"
#include "lua/state/job.h"

static uint64_t host_now(struct uj_loop *loop)
{
  const struct uj_state *S = uj_state_of(loop);
  return S->is_virtual ? S->virtual_ns : uj_driver_now();
}

/* ---- the body: what every job's coroutine runs ------------------------- */

/* The stack of a body: job, message handler, then what is called or came of
 * it. */
enum { BODY_JOB = 1, BODY_HANDLER, BODY_FIRST };

static bool is_own_cancel(lua_State *L, int idx, const struct uj_ljob *job)
{
  return job->core.cancel && uj_error_is(L, idx, UJ_CODE_CANCELLED, job);
}

/* (state) */
static int keep_traceback(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  uj_ljob_push(S, L, S->current);
  luaL_traceback(L, L, NULL, 2);
  uj_ljob_set_extra(L, -2, "traceback");
  return 0;
}

/* Keeps the value as it is, and the traceback while the frames are there. Lack
 * of memory for a traceback must not cost the error its identity. A job that is
 * cancelled fails of nothing: it needs none. */
static int on_error(lua_State *L)
{
  struct uj_state *S = uj_state_registered(L);
  if (S->dead || S->current == NULL || S->current->co != L)
    return 1; /* not from a job that runs */
  if (is_own_cancel(L, 1, S->current) ||
      S->current->core.wake == UJ_WAKE_KILLED) /* it has its traceback */
    return 1;
  lua_pushcfunction(L, keep_traceback);
  lua_pushlightuserdata(L, S);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  return 1;
}

/* [-n, +1, m] Makes a table of the results. */
static void pack(lua_State *L, int n)
{
  lua_createtable(L, n, 1);
  lua_insert(L, BODY_FIRST);
  for (int i = n; i > 0; i--)
    lua_rawseti(L, BODY_FIRST, i);
  lua_pushinteger(L, n);
  lua_setfield(L, BODY_FIRST, "n");
}

/* Whatever is made the job's value takes the place of what may keep the
 * coroutine: from there until ended() nothing is allocated. So a hook of the
 * user must not hear of the body's return: it could collect garbage. */
static void mute_return_hook(lua_State *L)
{
  int mask = lua_gethookmask(L);
  if ((mask & LUA_MASKRET) != 0)
    lua_sethook(L, lua_gethook(L), mask & ~LUA_MASKRET, lua_gethookcount(L));
}

static void keep_results(lua_State *L, struct uj_ljob *job)
{
  int n = lua_gettop(L) - BODY_HANDLER;
  if (n > 1)
    pack(L, n);
  else if (n == 0)
    lua_pushnil(L);
  uj_ljob_set_value(L, job, BODY_JOB);
  job->nresults = n == 0   ? UJ_RESULTS_NONE
                  : n == 1 ? UJ_RESULTS_ONE
                           : UJ_RESULTS_MANY;
  job->outcome = UJ_JOB_DONE;
}

/* [-1, +0, -] Keeps the error on the top. */
static void keep_error(lua_State *L, struct uj_ljob *job)
{
  bool own = is_own_cancel(L, -1, job);
  job->nresults = UJ_RESULTS_ONE;
  uj_ljob_set_value(L, job, BODY_JOB);
  job->outcome = own ? UJ_JOB_CANCELLED : UJ_JOB_FAILED;
}

/* [-0, +0, m] What was called for the job has failed, and so the job. */
static void keep_failure(lua_State *L, struct uj_ljob *job)
{
  uj_ljob_get_extra(L, BODY_JOB, "failure_traceback");
  uj_ljob_set_extra(L, BODY_JOB, "traceback");
  uj_ljob_get_extra(L, BODY_JOB, "failure");
  uj_ljob_set_value(L, job, BODY_JOB);
  job->nresults = UJ_RESULTS_ONE;
  job->outcome = UJ_JOB_FAILED;
}

static int body_end(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_ljob *job = lua_touserdata(L, BODY_JOB);
  (void)ctx;
  if (job->co_slot == 0)
    mute_return_hook(L);
  if (job->has_failure)
    keep_failure(L, job);
  else if (status == LUA_OK || status == LUA_YIELD)
    keep_results(L, job);
  else
    keep_error(L, job);
  return 0;
}

/* (job, handler, fn, ...): calls fn(...) so that its to-be-closed variables may
 * suspend when it fails, and its traceback is whole. */
int uj_host_body(lua_State *L)
{
  int nargs = lua_gettop(L) - BODY_FIRST;
  int status = lua_pcallk(L, nargs, LUA_MULTRET, BODY_HANDLER, 0, body_end);
  return body_end(L, status, 0);
}

/* ---- resuming ---------------------------------------------------------- */

/* [-1, +0, -] Makes the value on the top of L the job's error. */
static enum uj_job_state fail(struct uj_state *S, lua_State *L,
                              struct uj_ljob *job)
{
  uj_ljob_push(S, L, job);
  lua_insert(L, -2);
  uj_ljob_set_value(L, job, -2);
  lua_pop(L, 1);
  job->nresults = UJ_RESULTS_ONE;
  return UJ_JOB_FAILED;
}

/* An empty stack has room for the body and so many arguments. */
enum { FREE_ARGS = LUA_MINSTACK - 4 };

/* [co: -0, +4+nargs] Sets the job's body up on a coroutine of the pool. Returns
 * false when there is no memory for it. */
static bool start(struct uj_state *S, struct uj_ljob *job)
{
  lua_State *co;
  if (!uj_pool_take(S, job, uj_interrupt_counts(S, job->core.sched)))
    return false;
  co = job->co;
  if (job->ninputs > FREE_ARGS &&
      !lua_checkstack(co, (int)job->ninputs + FREE_ARGS)) {
    lua_settop(co, 0);
    uj_pool_give(S, job);
    return false;
  }
  lua_pushcfunction(co, uj_host_body);
  uj_ljob_push(S, co, job);
  lua_pushcfunction(co, on_error);
  if (job->co_slot == 0) /* it came with the function */
    lua_rotate(co, 1, -1);
  else
    uj_ljob_get_value(co, job, 2);
  for (int i = 0; i < (int)job->ninputs; i++) {
    lua_getiuservalue(co, 2, UJ_JOB_UV_ARGS + i);
    lua_pushnil(co); /* the job must not keep it longer than it runs */
    lua_setiuservalue(co, 2, UJ_JOB_UV_ARGS + i);
  }
  job->ninputs += BODY_FIRST;
  return true;
}

/* Raises in a job that yielded past us: before its next instruction. */
static void foreign_hook(lua_State *L, lua_Debug *ar)
{
  (void)ar;
  struct uj_state *S = uj_state_registered(L);
  if (S->L == NULL)
    lua_sethook(L, NULL, 0, 0);
  else
    uj_interrupt_reset_hook(S, L, S->interrupt.mode == UJ_INTERRUPT_COUNT);
  if (S->current != NULL && S->running == L)
    luaL_error(L, "%s", UJ_FOREIGN_YIELD);
}

/* The job gave its coroutine's control to us as if we were a generator's
 * consumer: nobody would ever resume it. */
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
  uj_ljob_push(S, hub, job);
  uj_ljob_get_value(hub, job, -1);
  if (job->nresults != UJ_RESULTS_ONE ||
      !uj_error_is(hub, -1, UJ_CODE_KILLED, job)) {
    job->nresults = UJ_RESULTS_NONE;
    lua_pushnil(hub);
    uj_ljob_set_value(hub, job, -3);
  }
  lua_pop(hub, 2);
}

/* A job was ended by force, waiting or at work. Should it have got away by a
 * yield of its own, its coroutine is closed. */
static enum uj_job_state killed(struct uj_state *S, struct uj_ljob *job,
                                int status)
{
  lua_State *co = job->co;
  uj_kill_end(S);
  if (status != LUA_OK) {
    lua_sethook(co, NULL, 0, 0);
    S->current = job;
    S->running = co;
    uj_coroutine_close(S, job, S->L);
    S->running = NULL;
    S->current = NULL;
  }
  lua_settop(co, 0);
  forget_outcome(S, job);
  uj_pool_give(S, job);
  return UJ_JOB_KILLED;
}

/* Nothing was left to run that the hook could have told something. */
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
  if (!uj_cqueues_was_not_told(S, co) || !job->core.cancel)
    return state;
  job->nresults = UJ_RESULTS_NONE; /* its error is made when asked for */
  return UJ_JOB_CANCELLED;
}

static enum uj_job_state ended(struct uj_state *S, struct uj_ljob *job,
                               int status)
{
  lua_State *co = job->co;
  enum uj_job_state state = (enum uj_job_state)job->outcome;
  if (status != LUA_OK) { /* the body itself: no memory for the results */
    state = fail(S, co, job);
    uj_closethread(co, S->L);
    lua_settop(co, 0);
  } else if (lua_gethook(co) != NULL)
    state = ended_before_hook(S, job, state);
  uj_pool_give(S, job);
  return state;
}

/* In `co` the job can suspend only if it can in `from`, and in what resumed
 * that: `from` does not move while `co` runs. */
int uj_host_resume_nested(struct uj_state *S, lua_State *co, lua_State *from,
                          int nargs, int *nresults)
{
  bool yields = S->chain_yields, counted;
  int status, depth;
  if (S->current == NULL || S->running != from)
    return lua_resume(co, from, nargs, nresults);
  S->chain_yields = yields && lua_isyieldable(from);
  depth = S->killing ? uj_kill_go_in(S) : 0;
  counted =
      lua_gethook(co) == NULL && uj_interrupt_counts(S, S->current->core.sched);
  if (counted)
    uj_interrupt_reset_hook(S, co, true);
  uj_interrupt_run(S, co);
  status = lua_resume(co, from, nargs, nresults);
  uj_interrupt_run(S, from);
  if (counted)
    lua_sethook(co, NULL, 0, 0);
  if (S->killing) {
    lua_sethook(co, NULL, 0, 0);
    uj_kill_come_out(S, depth);
  }
  S->chain_yields = yields;
  return status;
}

/* One stretch of a job: from here until it suspends or ends, in one tick of the
 * monitor. */
static int run_stretch(struct uj_state *S, struct uj_ljob *job, int nargs,
                       int *nresults)
{
  int status;
  S->current = job;
  job->resumes++;
  uj_watch_step(&S->interrupt.watch);
  if (job->core.op == UJ_OP_PREEMPTED)
    uj_interrupt_go_on(S);
  uj_interrupt_run(S, job->co);
  status = lua_resume(job->co, S->L, nargs, nresults);
  uj_interrupt_run(S, NULL);
  uj_watch_step(&S->interrupt.watch);
  S->current = NULL;
  return status;
}

static void note_time(struct uj_state *S, struct uj_ljob *job,
                      uint64_t begin_ns)
{
  uint64_t span_ns = uj_driver_now() - begin_ns;
  job->cpu_ns += span_ns;
  if (span_ns <= S->stats.longest_ns)
    return;
  S->stats.longest_ns = span_ns;
  uj_ljob_push(S, S->hub, job);
  lua_replace(S->hub, UJ_HUB_LONGEST);
}

/* Until it suspends or ends. */
static enum uj_job_state go_on(struct uj_state *S, struct uj_ljob *job)
{
  struct uj_job *core = &job->core;
  uint64_t begin_ns = S->stats.timed ? uj_driver_now() : 0;
  int status, nresults, nargs;
  if (job->co == NULL && !start(S, job)) {
    uj_hub_push(S->hub, S->L, UJ_HUB_NO_MEMORY);
    return fail(S, S->L, job);
  }
  if (core->op == UJ_OP_POLL)
    uj_cqueues_go_on(S, job);
  nargs = (int)job->ninputs;
  job->ninputs = 0;
  status = run_stretch(S, job, nargs, &nresults);
  if (S->stats.timed)
    note_time(S, job, begin_ns);
  if (S->killing)
    return killed(S, job, status);
  if (status != LUA_YIELD)
    return ended(S, job, status);
  if (core->place != UJ_AT_NONE)
    return UJ_JOB_ACTIVE;
  if (uj_cqueues_is_poll(S, job, nresults)) {
    uj_cqueues_poll(S, job, nresults);
    return UJ_JOB_ACTIVE;
  }
  lua_pop(job->co, nresults);
  return foreign_yield(job);
}

static enum uj_job_state host_resume(struct uj_loop *loop, struct uj_job *core)
{
  struct uj_state *S = uj_state_of(loop);
  struct uj_ljob *job = uj_ljob_of(core);
  enum uj_job_state state;
  if (S->pool.used > UJ_AHEAD_MANY)
    uj_ahead_of(&loop->batch);
  state = go_on(S, job);
  if (S->fault.job == job && state == UJ_JOB_ACTIVE)
    uj_testing_suspended(S, job);
  return state;
}

/* (job, state): where it stood is known only before its stack is gone. */
static int keep_last_traceback(lua_State *L)
{
  struct uj_ljob *job = lua_touserdata(L, 1);
  uj_coroutine_push_traceback(lua_touserdata(L, 2), L, job, false, NULL);
  uj_ljob_set_extra(L, 1, "traceback");
  return 0;
}

/* What waits is resumed with an error that it cannot swallow. */
static void host_kill(struct uj_loop *loop, struct uj_job *core)
{
  struct uj_state *S = uj_state_of(loop);
  struct uj_ljob *job = uj_ljob_of(core);
  lua_State *L = S->L;
  lua_pushcfunction(L, keep_last_traceback);
  uj_ljob_push(S, L, job);
  lua_pushlightuserdata(L, S);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  uj_kill_begin(S);
  (void)host_resume(loop, core);
}

/* ---- the end ----------------------------------------------------------- */

static void host_ended(struct uj_loop *loop, struct uj_job *core)
{
  struct uj_state *S = uj_state_of(loop);
  struct uj_ljob *job = uj_ljob_of(core);
  bool failed =
      core->state == UJ_JOB_FAILED && !core->result_wanted && !job->is_awaited;
  uj_testing_ended(S, job);
  if (core->nlocks > 0 && uj_lmutex_unlock_all(S, job) > 0)
    uj_report_locked(S, job);
  if (failed && uj_nursery_fail(job))
    return; /* its scheduler keeps it */
  if (failed || core->state == UJ_JOB_KILLED)
    uj_report_job(S, job);
  uj_slots_drop(&S->jobs, job->slot);
}

static void host_wake(struct uj_loop *loop)
{
  uj_embed_wake(uj_state_of(loop));
}

const struct uj_host uj_host = {
    .now = host_now,
    .resume = host_resume,
    .kill = host_kill,
    .ended = host_ended,
    .wake = host_wake,
};
