#include "lua/api/closing.h"

#include "core/admit.h"
#include "core/end.h"
#include "core/sched.h"
#include "lua/api/nursery.h"
#include "lua/base/args.h"
#include "lua/base/text.h"
#include "lua/engine/nest.h"
#include "lua/engine/report.h"
#include "lua/engine/suspend.h"
#include "lua/engine/traceback.h"
#include "lua/state/error.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"

/* ---- close() ------------------------------------------------------------- */

static int raise_own_cancel(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  (void)status;
  (void)ctx;
  uj_suspend_result(S, L);
  uj_job_cancel(&S->current->core);
  uj_ljob_push(S, L, S->current);
  return uj_error_raise(L, UJ_CODE_CANCELLED);
}

/* For a job that closes its own scheduler: the others end first, then it is
 * cancelled itself. */
static int close_from_inside(lua_State *L, struct uj_lsched *sched,
                             struct uj_ljob *caller)
{
  uj_sched_close(&sched->core, &caller->core);
  uj_sched_wait_alone(&sched->core, &caller->core);
  return lua_yieldk(L, 0, 0, raise_own_cancel);
}

static bool any_started(struct uj_sched *sched)
{
  struct uj_link *link;
  for (link = sched->jobs.next; link != &sched->jobs; link = link->next)
    if (uj_container(link, struct uj_job, member)->started)
      return true;
  return !uj_link_empty(&sched->shields);
}

/* Closes the scheduler at index 1, and leaves only that on the stack. Returns
 * whether that was all: false when the caller has to go on with
 * close_and_then(). */
static bool close_at_once(struct uj_state *S, lua_State *L)
{
  struct uj_lsched *sched = uj_lsched_self(L, "close");
  lua_settop(L, 1);
  if (uj_suspend_is_killed(S, L) ||
      (!uj_suspend_can(S, L) && !any_started(&sched->core))) {
    uj_sched_close(&sched->core, NULL);
    return true;
  }
  uj_suspend_check(S, L, "close");
  if (S->current->core.sched == &sched->core)
    return false;
  uj_sched_close(&sched->core, &S->current->core);
  return sched->core.nlive == 0 && !uj_suspend_needed(S->current);
}

/* Suspends until the scheduler at index 1 has closed; goes on with `k`. */
static int close_and_then(struct uj_state *S, lua_State *L, lua_KFunction k)
{
  struct uj_lsched *sched = uj_lsched_at(L, 1);
  if (S->current->core.sched == &sched->core)
    return close_from_inside(L, sched, S->current);
  return uj_suspend(L, S->current, &sched->core.idle, UJ_NEVER, UJ_OP_IDLE, k);
}

/* Stack: self. close() does not raise the error of a nursery, so the error is
 * reported. */
static int close_reported(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  (void)status;
  (void)ctx;
  uj_suspend_result(S, L);
  uj_nursery_report(S, uj_lsched_at(L, 1));
  return 0;
}

int uj_closing_close(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (!close_at_once(S, L))
    return close_and_then(S, L, close_reported);
  if (S->L != NULL)
    uj_nursery_report(S, uj_lsched_at(L, 1));
  return 0;
}

static int l_close_quietly(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  return close_at_once(S, L) ? 0
                             : close_and_then(S, L, uj_suspend_return_nothing);
}

static int l_begin_close(lua_State *L)
{
  uj_state(L);
  uj_sched_close(&uj_lsched_self(L, "begin_close")->core, NULL);
  return 0;
}

/* ---- wait_and_close() ---------------------------------------------------- */

/* The stack of wait_and_close(): the time at which it closes, as an integer,
 * because a continuation's context can be too small for it; then, when that has
 * passed, how many jobs were cancelled for it, and nil before; and whether
 * somebody was told that nothing but the limit ends the wait. */
enum { AT_SELF = 1, AT_DUE, AT_COUNT, AT_TOLD };

/* Parks the calling job until the scheduler is idle, and goes on with `k`,
 * whose context is `on_abandon`: what becomes of the scheduler when the wait is
 * interrupted. */
static int park_idle(lua_State *L, struct uj_ljob *caller,
                     struct uj_lsched *sched, uint64_t due_ns,
                     enum uj_on_abandon on_abandon, lua_KFunction k)
{
  caller->core.target_sched = &sched->core;
  caller->core.on_abandon = on_abandon;
  uj_job_park(&caller->core, &sched->core.idle, due_ns, UJ_OP_IDLE);
  return lua_yieldk(L, 0, on_abandon, k);
}

/* (state, scheduler): reports that its jobs are cancelled because a limit has
 * passed. Returns how many they are. Those that have to be killed are not
 * reported once more. */
static int report_late(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  lua_Integer n;
  lua_pushliteral(L, "Waiting timed out");
  uj_lsched_push_jobs(S, L, uj_lsched_at(L, 2), true);
  n = (lua_Integer)lua_rawlen(L, -1);
  uj_traceback_push_list(L, -1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, -2, i);
    uj_ljob_at(L, -1)->core.heard |= UJ_HEARS_KILLED;
    lua_pop(L, 1);
  }
  uj_report_jobs(S, L);
  lua_pushinteger(L, n);
  return 1;
}

/* [-1, +1, -] Reports the jobs that are late for the scheduler on the top, and
 * replaces it by their number: none if somebody has closed it before. */
static void pop_late(struct uj_state *S, lua_State *L)
{
  const struct uj_sched *sched = &uj_lsched_at(L, -1)->core;
  lua_Integer n = sched->closed ? 0 : (lua_Integer)sched->nlive;
  if (n > 0) {
    lua_pushcfunction(L, report_late);
    lua_pushlightuserdata(L, S);
    lua_pushvalue(L, -3);
    if (lua_pcall(L, 2, 1, 0) == LUA_OK)
      n = lua_tointeger(L, -1);
    else
      uj_text_write_error("%s\n", "no memory for the report of a wait");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  lua_pushinteger(L, n);
}

/* [-0, +1, -] Pushes the scheduler that a parked job waits for in
 * wait_and_close(). */
static lua_State *push_awaited(struct uj_state *S, lua_State *L,
                               const struct uj_ljob *job)
{
  lua_State *co = uj_nest_parked(S, job);
  lua_pushvalue(co, AT_SELF);
  lua_xmove(co, L, 1);
  return co;
}

void uj_closing_late(struct uj_state *S, struct uj_ljob *job)
{
  lua_State *co = push_awaited(S, S->L, job);
  pop_late(S, S->L);
  lua_xmove(S->L, co, 1);
  lua_replace(co, AT_COUNT);
}

bool uj_closing_note_stuck(struct uj_state *S, lua_State *L,
                           const struct uj_ljob *job)
{
  const struct uj_job *core = &job->core;
  lua_State *co;
  bool told;
  if (core->place != UJ_AT_WAIT || core->op != UJ_OP_IDLE ||
      core->on_abandon == UJ_ABANDON_NOTHING || !uj_timer_armed(&core->timer) ||
      core->timer_wake != UJ_WAKE_TIMEOUT)
    return false;
  co = push_awaited(S, L, job);
  told = lua_toboolean(co, AT_TOLD);
  lua_pushboolean(co, 1);
  lua_replace(co, AT_TOLD);
  if (told)
    lua_pop(L, 1);
  return !told;
}

static void count_limited(struct uj_state *S, lua_State *L, int change)
{
  if ((uint64_t)lua_tointeger(L, AT_DUE) != UJ_NEVER)
    S->closing->nlimited += (uint64_t)change;
}

/* [-0, +n, v] The scheduler has closed: raises the error of a nursery, or
 * pushes true; or nil, "timeout" and a number. */
static int push_outcome(lua_State *L)
{
  uj_nursery_raise(L, uj_lsched_at(L, AT_SELF));
  if (lua_isnil(L, AT_COUNT)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushliteral(L, "timeout");
  lua_pushvalue(L, AT_COUNT);
  return 3;
}

static int closed(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  uj_suspend_result(uj_state(L), L);
  return push_outcome(L);
}

static int close_now(struct uj_state *S, lua_State *L, struct uj_lsched *sched)
{
  uj_sched_close(&sched->core, &S->current->core);
  if (sched->core.nlive == 0)
    return push_outcome(L);
  return uj_suspend(L, S->current, &sched->core.idle, UJ_NEVER, UJ_OP_IDLE,
                    closed);
}

/* The scheduler was idle or the time is over; jobs may have been spawned since
 * it was idle. */
static int waited(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_at(L, AT_SELF);
  bool in_time;
  (void)status;
  count_limited(S, L, -1);
  in_time = uj_suspend_result(S, L) == UJ_WAKE_OK;
  if (in_time && sched->core.nlive > 0) {
    count_limited(S, L, 1);
    return park_idle(L, S->current, sched, (uint64_t)lua_tointeger(L, AT_DUE),
                     (enum uj_on_abandon)ctx, waited);
  }
  if (sched->core.nlive > 0 && lua_isnil(L, AT_COUNT)) {
    lua_pushvalue(L, AT_SELF);
    pop_late(S, L);
    lua_replace(L, AT_COUNT);
  }
  return close_now(S, L, sched);
}

static int wait_and_close(lua_State *L, enum uj_on_abandon on_abandon)
{
  static const struct uj_callee callee = {"wait_and_close", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, sched->core.wait_ns);
  uint64_t due_ns = uj_suspend_due(S, span_ns);
  struct uj_ljob *caller;
  lua_settop(L, AT_SELF);
  lua_pushinteger(L, (lua_Integer)due_ns);
  lua_settop(L, AT_TOLD);
  if (S->current != NULL && S->current->core.sched == &sched->core)
    return luaL_error(L, "a job cannot wait for its own scheduler");
  if (sched->core.nlive == 0 &&
      !(uj_suspend_can(S, L) && uj_suspend_needed(S->current))) {
    uj_sched_close(&sched->core, NULL);
    return push_outcome(L);
  }
  caller = uj_suspend_check(S, L, callee.name);
  uj_sched_dismiss(&sched->core);
  count_limited(S, L, 1);
  return park_idle(L, caller, sched, due_ns, on_abandon, waited);
}

int uj_closing_wait_and_close(lua_State *L)
{
  return wait_and_close(L, UJ_ABANDON_CLOSE_LATE);
}

static int l_wait_and_leave(lua_State *L)
{
  return wait_and_close(L, UJ_ABANDON_CLOSE);
}

/* ---- waiting without closing --------------------------------------------- */

/* The context is not that of uj_suspend(): see park_idle(). */
static int found_idle(lua_State *L, int status, lua_KContext ctx)
{
  (void)ctx;
  return uj_suspend_return_nothing(L, status, 0);
}

static int l_wait_until_idle(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, "wait");
  struct uj_ljob *caller = uj_suspend_check(S, L, "wait");
  if (sched->core.nlive == 0 && !uj_suspend_needed(caller))
    return 0;
  return park_idle(L, caller, sched, UJ_NEVER, UJ_ABANDON_CLOSE, found_idle);
}

/* A job in wait_and_leave is woken, too, but waits on: it is not idle yet. */
static int l_wake_idle(lua_State *L)
{
  struct uj_link *list = &uj_lsched_self(L, "wait")->core.idle.jobs;
  for (struct uj_link *link = list->next, *next; link != list; link = next) {
    struct uj_job *job = uj_container(link, struct uj_job, queue);
    next = link->next;
    if (job->on_abandon == UJ_ABANDON_CLOSE)
      uj_job_wake(job, UJ_WAKE_OK);
  }
  return 0;
}

const luaL_Reg uj_closing_internals[] = {{"begin_close", l_begin_close},
                                         {"close_quietly", l_close_quietly},
                                         {"wait_and_leave", l_wait_and_leave},
                                         {"wait_until_idle", l_wait_until_idle},
                                         {"wake_idle", l_wake_idle},
                                         {NULL, NULL}};
