#include "lua/api/closing.h"

#include "core/admit.h"
#include "core/end.h"
#include "core/sched.h"
#include "lua/api/nursery.h"
#include "lua/base/args.h"
#include "lua/engine/suspend.h"
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

/* The stack of wait_and_close(): the time at which it closes is an integer on
 * the stack, because a continuation's context can be too small for it. */
enum { AT_SELF = 1, AT_DUE };

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

static int closed(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  uj_suspend_result(uj_state(L), L);
  return uj_nursery_raise(L, uj_lsched_at(L, AT_SELF));
}

/* The scheduler was idle or the time is over; jobs may have been spawned since
 * it was idle. */
static int waited(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_at(L, AT_SELF);
  bool in_time = uj_suspend_result(S, L) == UJ_WAKE_OK;
  (void)status;
  if (in_time && sched->core.nlive > 0)
    return park_idle(L, S->current, sched, (uint64_t)lua_tointeger(L, AT_DUE),
                     (enum uj_on_abandon)ctx, waited);
  uj_sched_close(&sched->core, &S->current->core);
  if (sched->core.nlive == 0)
    return uj_nursery_raise(L, sched);
  return uj_suspend(L, S->current, &sched->core.idle, UJ_NEVER, UJ_OP_IDLE,
                    closed);
}

static int wait_and_close(lua_State *L, enum uj_on_abandon on_abandon)
{
  static const struct uj_callee callee = {"wait_and_close", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, sched->core.wait_ns);
  uint64_t due_ns = uj_suspend_due(S, span_ns);
  struct uj_ljob *caller;
  if (S->current != NULL && S->current->core.sched == &sched->core)
    return luaL_error(L, "a job cannot wait for its own scheduler");
  if (sched->core.nlive == 0 &&
      !(uj_suspend_can(S, L) && uj_suspend_needed(S->current))) {
    uj_sched_close(&sched->core, NULL);
    return uj_nursery_raise(L, sched);
  }
  caller = uj_suspend_check(S, L, callee.name);
  lua_settop(L, AT_SELF);
  lua_pushinteger(L, (lua_Integer)due_ns);
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

static int l_wait_until_idle(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, "wait");
  struct uj_ljob *caller = uj_suspend_check(S, L, "wait");
  if (sched->core.nlive == 0 && !uj_suspend_needed(caller))
    return 0;
  return park_idle(L, caller, sched, UJ_NEVER, UJ_ABANDON_CLOSE,
                   uj_suspend_return_nothing);
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
