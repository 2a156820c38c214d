#include "lua/api/job.h"

#include <lauxlib.h>
#include <string.h>

#include "core/end.h"
#include "core/sched.h"
#include "lua/api/order.h"
#include "lua/base/args.h"
#include "lua/base/seconds.h"
#include "lua/engine/body.h"
#include "lua/engine/report.h"
#include "lua/engine/stretch.h"
#include "lua/engine/suspend.h"
#include "lua/engine/traceback.h"
#include "lua/measure/times.h"
#include "lua/state/error.h"
#include "lua/state/job.h"
#include "lua/state/outcome.h"

/* ---- waiting ----------------------------------------------------------- */

/* Suspends the calling job until `job` ends, which is at index 1; goes on with
 * `k`. */
static int park_for(lua_State *L, struct uj_ljob *caller, struct uj_ljob *job,
                    uint64_t due_ns, unsigned op, lua_KFunction k)
{
  caller->core.target = &job->core;
  return uj_suspend(L, caller, &job->core.waiters, due_ns, op, k);
}

/* Whether the call needs not suspend: the job has ended, and there is nothing
 * that is to be raised in the caller instead. */
static bool answers_at_once(struct uj_state *S, lua_State *L,
                            const struct uj_ljob *job)
{
  return uj_job_ended(&job->core) &&
         !(uj_suspend_can(S, L) && uj_suspend_needed(S->current));
}

/* Raises `timeout` about the job at index 1. */
static int raise_timeout(lua_State *L)
{
  lua_pushvalue(L, 1);
  return uj_error_raise(L, UJ_CODE_TIMEOUT);
}

static int wait_timed_out(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  uj_suspend_result(uj_state(L), L);
  return raise_timeout(L);
}

/* The job at index 1 was closed on behalf of the caller, who was to be told if
 * it had to be killed (uj_job_abandon()). When the caller is interrupted before
 * that, the exception handler is. */
static void pass_on_killed(struct uj_state *S, lua_State *L)
{
  struct uj_job *caller = &S->current->core, *job;
  bool hears = caller->hears != 0;
  caller->hears = 0;
  if (!hears || caller->wake == UJ_WAKE_TIMEOUT)
    return;
  job = &uj_ljob_at(L, 1)->core;
  job->heard &= ~(unsigned)UJ_HEARS_KILLED;
  if (job->state == UJ_JOB_KILLED)
    uj_report_ended(S, L, 1);
}

/* When wait() times out it closes the job and waits for its end. A caller that
 * is interrupted does not get the job's error, which then goes to the exception
 * handler unless somebody else waits for it. */
static int wait_ended(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_suspend_state(L, ctx);
  struct uj_ljob *job;
  (void)status;
  (void)uj_suspend_self(S, L);
  pass_on_killed(S, L);
  if (uj_suspend_result(S, L) == UJ_WAKE_OK)
    return uj_outcome_push_results(L, 1);
  job = uj_ljob_at(L, 1);
  uj_job_close(&job->core,
               uj_job_grace(&S->current->core, uj_ljob_close_ns(S, job)));
  if (uj_job_ended(&job->core))
    return raise_timeout(L);
  S->current->core.hears = UJ_HEARS_KILLED;
  return park_for(L, S->current, job, UJ_NEVER, UJ_LOP_CLOSE, wait_timed_out);
}

static int job_wait(lua_State *L)
{
  static const struct uj_callee callee = {"wait", 1};
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, callee.name), *caller;
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  lua_settop(L, 1);
  if (answers_at_once(S, L, job))
    return uj_outcome_push_results(L, 1);
  caller = uj_suspend_check(S, L, callee.name);
  if (job == caller)
    return luaL_error(L, "a job cannot wait for itself");
  caller->core.hears = UJ_HEARS_FAILED;
  caller->core.on_abandon = UJ_ABANDON_CLOSE_LATE;
  return park_for(L, caller, job, uj_suspend_due(S, span_ns), UJ_OP_WAIT,
                  wait_ended);
}

static int join_ended(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  lua_pushboolean(L,
                  uj_suspend_result(uj_suspend_state(L, ctx), L) == UJ_WAKE_OK);
  return 1;
}

static int job_join(lua_State *L)
{
  static const struct uj_callee callee = {"join", 1};
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, callee.name), *caller;
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  if (answers_at_once(S, L, job)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  caller = uj_suspend_check(S, L, callee.name);
  if (job == caller)
    return luaL_error(L, "a job cannot join itself");
  return park_for(L, caller, job, uj_suspend_due(S, span_ns), UJ_OP_WAIT,
                  join_ended);
}

/* ---- its result ---------------------------------------------------------- */

/* [-0, +n, m] Pushes true and the results of the job at index 1, or false and
 * its error. */
static int push_result(lua_State *L)
{
  bool done = uj_ljob_at(L, 1)->core.state == UJ_JOB_DONE;
  int n = 1;
  if (done)
    n = uj_outcome_push_results(L, 1);
  else
    uj_outcome_push_error(L, 1);
  luaL_checkstack(L, 1, "too many results"); /* they may fill the stack */
  lua_pushboolean(L, done);
  lua_insert(L, -1 - n);
  return 1 + n;
}

static int result_ended(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  if (uj_suspend_result(uj_state(L), L) == UJ_WAKE_OK)
    return push_result(L);
  lua_pushnil(L);
  lua_pushliteral(L, "timeout");
  return 2;
}

static int job_result(lua_State *L)
{
  static const struct uj_callee callee = {"result", 1};
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, callee.name), *caller;
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  if (answers_at_once(S, L, job))
    return push_result(L);
  caller = uj_suspend_check(S, L, callee.name);
  if (job == caller)
    return luaL_error(L, "a job cannot wait for itself");
  caller->core.hears = UJ_HEARS_ALL;
  return park_for(L, caller, job, uj_suspend_due(S, span_ns), UJ_OP_WAIT,
                  result_ended);
}

/* ---- ending -------------------------------------------------------------- */

/* Of the ways in which the job can end close() raises two: that it had to be
 * killed, and its own error. */
static int close_ended(lua_State *L, int status, lua_KContext ctx)
{
  const struct uj_ljob *job = uj_ljob_at(L, 1);
  (void)status;
  (void)ctx;
  uj_suspend_result(uj_state(L), L);
  if (job->core.state == UJ_JOB_KILLED)
    return raise_timeout(L);
  return job->core.state == UJ_JOB_FAILED ? uj_outcome_push_results(L, 1) : 0;
}

static int job_close(lua_State *L)
{
  static const struct uj_callee callee = {"close", 1};
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, callee.name), *caller;
  uint64_t span_ns =
      uj_arg_opt_seconds(L, &callee, 2, job->core.sched->close_ns);
  if (answers_at_once(S, L, job))
    return 0;
  if (job == S->current)
    return luaL_error(L, "a job cannot close itself");
  if (!job->core.started && !uj_suspend_can(S, L)) {
    uj_job_cancel(&job->core);
    return 0;
  }
  caller = uj_suspend_check(S, L, callee.name);
  uj_job_close(&job->core, uj_job_grace(&caller->core, span_ns));
  if (answers_at_once(S, L, job)) /* a job that never ran ends at once */
    return 0;
  caller->core.hears = UJ_HEARS_ALL;
  return park_for(L, caller, job, UJ_NEVER, UJ_LOP_CLOSE, close_ended);
}

static int job_cancel(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, "cancel");
  uj_job_cancel(&job->core);
  if (job == S->current)
    uj_stretch_limits_changed(S);
  return 0;
}

static int l_fail(lua_State *L)
{
  struct uj_ljob *job = uj_ljob_self(L, "fail");
  bool can_fail = !uj_job_ended(&job->core) && !job->has_failure;
  lua_settop(L, 3);
  if (can_fail) {
    uj_ljob_set_extra(L, 1, "failure_traceback");
    uj_ljob_set_extra(L, 1, "failure");
    job->has_failure = true;
    uj_job_cancel(&job->core);
    uj_stretch_limits_changed(uj_state(L));
  }
  lua_pushboolean(L, can_fail);
  return 1;
}

/* begin_close_job(job, seconds) */
static int l_begin_close_job(lua_State *L)
{
  static const struct uj_callee callee = {"begin_close_job", 0};
  struct uj_ljob *job = uj_ljob_self(L, callee.name);
  uj_job_close(&job->core, uj_arg_seconds(L, &callee, 2));
  if (job == uj_state(L)->current)
    uj_stretch_limits_changed(uj_state(L));
  return 0;
}

/* close_left() */
static int l_close_left(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  uint64_t now_ns = uj_loop_now(&S->loop), kill_ns = S->current->core.kill_ns;
  if (kill_ns == UJ_NEVER)
    lua_pushnil(L);
  else
    uj_seconds_push(L, kill_ns > now_ns ? kill_ns - now_ns : 0);
  return 1;
}

/* set_thread(index): of the calling job. */
static int l_set_thread(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  luaL_checkinteger(L, 1);
  lua_settop(L, 1);
  uj_ljob_push(S, L, S->current);
  lua_insert(L, 1);
  uj_ljob_set_extra(L, 1, "thread");
  return 0;
}

/* raise_beyond(error, traceback) */
static int l_raise_beyond(lua_State *L)
{
  const char *traceback = luaL_optstring(L, 2, NULL);
  lua_pushvalue(L, 1);
  uj_body_note_beyond(uj_state(L), L, traceback);
  return lua_error(L);
}

/* ---- looking ------------------------------------------------------------- */

static const char *const state_names[] = {
    [UJ_JOB_NEW] = "new",
    [UJ_JOB_PENDING] = "pending",
    [UJ_JOB_ACTIVE] = "active",
    [UJ_JOB_CLOSING] = "closing",
    [UJ_JOB_DONE] = "done",
    [UJ_JOB_FAILED] = "failed",
    [UJ_JOB_CANCELLED] = "cancelled",
    [UJ_JOB_KILLED] = "killed",
};

const char *uj_ljob_state_name(const struct uj_ljob *job)
{
  return state_names[job->core.state];
}

static int job_tostring(lua_State *L)
{
  const struct uj_ljob *job = uj_ljob_self(L, "tostring");
  uj_ljob_push_number_and_name(L, 1);
  lua_pushfstring(L, UJ_JOB_TYPE ": %s %s", lua_tostring(L, -1),
                  state_names[job->core.state]);
  return 1;
}

static int job_traceback(lua_State *L)
{
  uj_ljob_self(L, "traceback");
  uj_traceback_push(L, 1);
  return 1;
}

/* [-0, +1, -] Pushes nil when the time is not measured. */
static void push_cpu_time(lua_State *L, const struct uj_ljob *job)
{
  if (job->cpu_ns > 0 || uj_state(L)->measures)
    uj_seconds_push(L, job->cpu_ns);
  else
    lua_pushnil(L);
}

static bool push_property(lua_State *L, const void *object, const char *key)
{
  const struct uj_ljob *job = object;
  enum uj_job_state state = (enum uj_job_state)job->core.state;
  if (strcmp(key, "state") == 0)
    lua_pushstring(L, state_names[state]);
  else if (strcmp(key, "active") == 0)
    lua_pushboolean(L, state == UJ_JOB_ACTIVE || state == UJ_JOB_CLOSING);
  else if (strcmp(key, "pending") == 0)
    lua_pushboolean(L, state == UJ_JOB_PENDING);
  else if (strcmp(key, "closed") == 0)
    lua_pushboolean(L, uj_job_ended(&job->core));
  else if (strcmp(key, "id") == 0)
    lua_pushinteger(L, (lua_Integer)job->core.id);
  else if (strcmp(key, "name") == 0)
    uj_ljob_push_name(L, 1);
  else if (strcmp(key, "scheduler") == 0)
    uj_ljob_push_sched(L, 1);
  else if (strcmp(key, "resumes") == 0)
    lua_pushinteger(L, job->resumes);
  else if (strcmp(key, "preemptions") == 0)
    lua_pushinteger(L, job->core.preemptions);
  else if (strcmp(key, "cpu_time") == 0)
    push_cpu_time(L, job);
  else if (strcmp(key, "times") == 0)
    uj_times_push(uj_state(L), L, uj_ljob_at(L, 1));
  else if (strcmp(key, "priority") == 0)
    lua_pushinteger(L, uj_lorder_priority(job));
  else if (strcmp(key, "key") == 0)
    uj_lorder_push_key(L, 1);
  else if (strcmp(key, "thread") == 0)
    uj_ljob_get_extra(L, 1, "thread");
  else
    return false;
  return true;
}

static int job_newindex(lua_State *L)
{
  const struct uj_ljob *job = uj_ljob_self(L, "newindex");
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "name") != 0)
    return luaL_error(
        L, "cannot set '%s' of a " UJ_JOB_TYPE " (only 'name' can be set)",
        luaL_tolstring(L, 2, NULL));
  if (lua_type(L, 3) != LUA_TSTRING && !lua_isnil(L, 3))
    return luaL_error(L,
                      "bad value for 'name' (string or nil expected, got "
                      "%s)",
                      uj_arg_typename(L, 3));
  lua_settop(L, 3);
  if (job->is_child && lua_isnil(L, 3)) { /* not that of the child, either */
    lua_pop(L, 1);
    lua_pushboolean(L, 0);
  }
  uj_ljob_set_extra(L, 1, "name");
  return 0;
}

void uj_ljob_register(lua_State *L)
{
  static const char *const properties[] = {
      "state", "active",    "pending", "closed",      "id",
      "name",  "scheduler", "resumes", "preemptions", "cpu_time",
      "times", "priority",  "key",     "thread",      NULL};
  static const luaL_Reg methods[] = {{"wait", job_wait},
                                     {"join", job_join},
                                     {"result", job_result},
                                     {"close", job_close},
                                     {"cancel", job_cancel},
                                     {"traceback", job_traceback},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__tostring", job_tostring}, {"__newindex", job_newindex}, {NULL, NULL}};
  static const struct uj_type type = {.tag = uj_job_tag,
                                      .methods = methods,
                                      .meta = meta,
                                      .property = push_property,
                                      .properties = properties};
  uj_object_register(L, &type);
}

static int l_states(lua_State *L)
{
  int count = (int)(sizeof(state_names) / sizeof(state_names[0]));
  uj_object_push_words(L, state_names, count);
  return 1;
}

const luaL_Reg uj_ljob_internals[] = {{"begin_close_job", l_begin_close_job},
                                      {"close_left", l_close_left},
                                      {"fail", l_fail},
                                      {"raise_beyond", l_raise_beyond},
                                      {"set_thread", l_set_thread},
                                      {"states", l_states},
                                      {NULL, NULL}};
