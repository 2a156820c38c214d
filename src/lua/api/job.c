#include "lua/api/job.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/api/coroutine.h"
#include "lua/api/sched.h"
#include "lua/base/args.h"
#include "lua/engine/interrupt.h"
#include "lua/engine/suspend.h"
#include "lua/state/error.h"

const char uj_job_tag[] = UJ_JOB_TYPE;

/* ---- access ------------------------------------------------------------ */

struct uj_ljob *uj_ljob_to(lua_State *L, int idx)
{
  return uj_object_to(L, idx, uj_job_tag);
}

struct uj_ljob *uj_ljob_self(lua_State *L, const char *name)
{
  return uj_object_self(L, uj_job_tag, name);
}

void uj_ljob_keep(struct uj_state *S, lua_State *L, struct uj_ljob *job)
{
  lua_pushvalue(L, -1);
  job->slot = uj_slots_put(&S->jobs, L);
}

void uj_ljob_push(struct uj_state *S, lua_State *L, const struct uj_ljob *job)
{
  uj_slots_push(&S->jobs, L, job->slot);
}

void uj_ljob_hand(struct uj_ljob *job, lua_State *from, int n)
{
  lua_xmove(from, job->co, n);
  job->ninputs = (unsigned)n;
}

bool uj_ljob_can_take(const struct uj_ljob *job, int n)
{
  return lua_checkstack(job->co, n + LUA_MINSTACK);
}

/* With extra fields the user value is their table, and has the job's value at
 * 1. That place is never empty, so that to change it needs no memory: for nil
 * it has the address of the job. */
enum { EXTRA_VALUE = 1 };

/* [-1, +1, -] Puts a value into that form; idx is absolute. */
static void wrap_nil(lua_State *L, int idx)
{
  if (!lua_isnil(L, -1))
    return;
  lua_pop(L, 1);
  lua_pushlightuserdata(L, lua_touserdata(L, idx));
}

/* [-1, +1, -] Takes it from it. */
static void unwrap_nil(lua_State *L, int idx)
{
  if (!lua_islightuserdata(L, -1) ||
      lua_touserdata(L, -1) != lua_touserdata(L, idx))
    return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

void uj_ljob_get_value(lua_State *L, const struct uj_ljob *job, int idx)
{
  if (!job->has_extra) {
    lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
    return;
  }
  idx = lua_absindex(L, idx);
  lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
  lua_rawgeti(L, -1, EXTRA_VALUE);
  lua_remove(L, -2);
  unwrap_nil(L, idx);
}

void uj_ljob_set_value(lua_State *L, const struct uj_ljob *job, int idx)
{
  if (!job->has_extra) {
    lua_setiuservalue(L, idx, UJ_JOB_UV_VALUE);
    return;
  }
  idx = lua_absindex(L, idx);
  wrap_nil(L, idx);
  lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
  lua_insert(L, -2);
  lua_rawseti(L, -2, EXTRA_VALUE);
  lua_pop(L, 1);
}

void uj_ljob_get_extra(lua_State *L, int idx, const char *field)
{
  const struct uj_ljob *job = uj_ljob_at(L, idx);
  if (!job->has_extra) {
    lua_pushnil(L);
    return;
  }
  lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
  lua_getfield(L, -1, field);
  lua_remove(L, -2);
}

/* [-0, +0, m] */
static void make_extra(lua_State *L, int idx, struct uj_ljob *job)
{
  lua_createtable(L, EXTRA_VALUE, 2);
  lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
  wrap_nil(L, idx);
  lua_rawseti(L, -2, EXTRA_VALUE);
  lua_setiuservalue(L, idx, UJ_JOB_UV_VALUE);
  job->has_extra = true;
}

void uj_ljob_set_extra(lua_State *L, int idx, const char *field)
{
  struct uj_ljob *job = uj_ljob_at(L, idx);
  idx = lua_absindex(L, idx);
  if (!job->has_extra)
    make_extra(L, idx, job);
  lua_getiuservalue(L, idx, UJ_JOB_UV_VALUE);
  lua_insert(L, -2);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

void uj_ljob_push_sched(lua_State *L, int idx)
{
  lua_getmetatable(L, idx);
  lua_rawgeti(L, -1, UJ_JOB_TYPE_SCHED);
  lua_remove(L, -2);
}

/* ---- what a job is called and where it stands -------------------------- */

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

/* [-0, +1, m] Pushes `#7 "import"`. */
static void push_number_and_name(lua_State *L, int idx)
{
  const struct uj_ljob *job = uj_ljob_at(L, idx);
  uj_ljob_get_extra(L, idx, "name");
  if (lua_isnil(L, -1))
    lua_pushfstring(L, "#%I", (LUAI_UACINT)job->core.id);
  else
    lua_pushfstring(L, "#%I \"%s\"", (LUAI_UACINT)job->core.id,
                    lua_tostring(L, -1));
  lua_remove(L, -2);
}

void uj_ljob_push_label(lua_State *L, int idx)
{
  idx = lua_absindex(L, idx);
  lua_pushliteral(L, "job ");
  push_number_and_name(L, idx);
  lua_concat(L, 2);
}

static int job_tostring(lua_State *L)
{
  const struct uj_ljob *job = uj_ljob_self(L, "tostring");
  push_number_and_name(L, 1);
  lua_pushfstring(L, UJ_JOB_TYPE ": %s %s", lua_tostring(L, -1),
                  state_names[job->core.state]);
  return 1;
}

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

int uj_ljob_fail(lua_State *L)
{
  struct uj_ljob *job = uj_ljob_self(L, "fail");
  bool can_fail = !uj_job_ended(&job->core) && !job->has_failure;
  lua_settop(L, 3);
  if (can_fail) {
    uj_ljob_set_extra(L, 1, "failure_traceback");
    uj_ljob_set_extra(L, 1, "failure");
    job->has_failure = true;
    uj_job_cancel(&job->core);
    uj_interrupt_limits_changed(uj_state(L));
  }
  lua_pushboolean(L, can_fail);
  return 1;
}

void uj_ljob_push_traceback(lua_State *L, int idx)
{
  const struct uj_ljob *job = uj_ljob_at(L, idx);
  struct uj_state *S = uj_state_of(job->core.sched->loop);
  int top = lua_gettop(L) + 1;
  luaL_tolstring(L, idx, NULL);
  push_wait(L, job);
  lua_concat(L, 2);
  if (job->co != NULL)
    uj_coroutine_push_traceback(S, L, job, job == S->current && L == S->running,
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

static int job_traceback(lua_State *L)
{
  uj_ljob_self(L, "traceback");
  uj_ljob_push_traceback(L, 1);
  return 1;
}

/* ---- the outcome ------------------------------------------------------- */

/* The errors of jobs that were ended from outside are made when somebody asks,
 * and kept: everybody gets the same value. */
void uj_ljob_push_error(lua_State *L, int idx)
{
  struct uj_ljob *job = uj_ljob_at(L, idx);
  if (job->nresults != UJ_RESULTS_NONE) {
    uj_ljob_get_value(L, job, idx);
    return;
  }
  lua_pushvalue(L, idx);
  uj_error_new(L, job->core.state == UJ_JOB_KILLED ? UJ_CODE_KILLED
                                                   : UJ_CODE_CANCELLED);
  lua_pushvalue(L, -1);
  uj_ljob_set_value(L, job, idx);
  job->nresults = UJ_RESULTS_ONE;
}

/* [-0, +n, m] Pushes the values of the table on the top; returns n. */
static int unpack(lua_State *L)
{
  int table = lua_gettop(L), n;
  lua_getfield(L, table, "n");
  n = (int)lua_tointeger(L, -1);
  luaL_checkstack(L, n, "too many results");
  for (int i = 1; i <= n; i++)
    lua_rawgeti(L, table, i);
  return n;
}

int uj_ljob_results(lua_State *L, int idx)
{
  const struct uj_ljob *job = uj_ljob_at(L, idx);
  if (job->core.state != UJ_JOB_DONE) {
    uj_ljob_push_error(L, idx);
    return lua_error(L);
  }
  if (job->nresults == UJ_RESULTS_NONE)
    return 0;
  uj_ljob_get_value(L, job, idx);
  return job->nresults == UJ_RESULTS_ONE ? 1 : unpack(L);
}

/* ---- waiting ----------------------------------------------------------- */

/* Parks the calling job until the one at index 1 ends. */
static int park_for(lua_State *L, struct uj_ljob *self, struct uj_ljob *job,
                    uint64_t due_ns, enum uj_op op, lua_KFunction k)
{
  self->core.target = &job->core;
  return uj_suspend(L, self, &job->core.waiters, due_ns, op, k);
}

/* Whether an ended job can be answered for without suspending. */
static bool answers_at_once(struct uj_state *S, lua_State *L,
                            const struct uj_ljob *job)
{
  return uj_job_ended(&job->core) &&
         !(uj_can_suspend(S, L) && uj_suspend_needed(S->current));
}

static int wait_timed_out(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  uj_suspend_result(uj_state(L), L);
  lua_pushvalue(L, 1);
  return uj_error_raise(L, UJ_CODE_TIMEOUT);
}

/* A caller that leaves does not ask for the error any more: it goes to the
 * exception handler, if nobody else does. */
static int wait_ended(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_at(L, 1);
  (void)status;
  (void)ctx;
  if (uj_suspend_result(S, L) == UJ_WAKE_OK)
    return uj_ljob_results(L, 1);
  uj_job_close(&job->core,
               uj_job_grace(&S->current->core, job->core.sched->close_ns));
  if (uj_job_ended(&job->core))
    return wait_timed_out(L, LUA_OK, 0);
  return park_for(L, S->current, job, UJ_NEVER, UJ_OP_CLOSE, wait_timed_out);
}

static int job_wait(lua_State *L)
{
  static const struct uj_callee callee = {"wait", 1};
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, callee.name), *self;
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  lua_settop(L, 1);
  if (answers_at_once(S, L, job))
    return uj_ljob_results(L, 1);
  self = uj_suspend_check(S, L, callee.name);
  if (job == self)
    return luaL_error(L, "a job cannot wait for itself");
  self->core.wants_result = true;
  self->core.on_abandon = UJ_ABANDON_CLOSE_LATE;
  return park_for(L, self, job, uj_suspend_due(S, span_ns), UJ_OP_WAIT,
                  wait_ended);
}

static int join_ended(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  lua_pushboolean(L, uj_suspend_result(uj_state(L), L) == UJ_WAKE_OK);
  return 1;
}

static int job_join(lua_State *L)
{
  static const struct uj_callee callee = {"join", 1};
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, callee.name), *self;
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  if (answers_at_once(S, L, job)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  self = uj_suspend_check(S, L, callee.name);
  if (job == self)
    return luaL_error(L, "a job cannot join itself");
  return park_for(L, self, job, uj_suspend_due(S, span_ns), UJ_OP_WAIT,
                  join_ended);
}

/* ---- ending ------------------------------------------------------------ */

/* What close() tells of a job that has ended. */
static int close_outcome(lua_State *L, const struct uj_ljob *job)
{
  if (job->core.state == UJ_JOB_KILLED) {
    lua_pushvalue(L, 1);
    return uj_error_raise(L, UJ_CODE_TIMEOUT);
  }
  return job->core.state == UJ_JOB_FAILED ? uj_ljob_results(L, 1) : 0;
}

static int close_ended(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_at(L, 1);
  uj_suspend_result(S, L);
  return close_outcome(L, job);
}

static int job_close(lua_State *L)
{
  static const struct uj_callee callee = {"close", 1};
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, callee.name), *self;
  uint64_t span_ns =
      uj_arg_opt_seconds(L, &callee, 2, job->core.sched->close_ns);
  if (answers_at_once(S, L, job))
    return 0;
  if (job == S->current)
    return luaL_error(L, "a job cannot close itself");
  if (!job->core.started && !uj_can_suspend(S, L)) {
    uj_job_cancel(&job->core);
    return 0;
  }
  self = uj_suspend_check(S, L, callee.name);
  uj_job_close(&job->core, uj_job_grace(&self->core, span_ns));
  if (answers_at_once(S, L, job))
    return 0; /* it never ran */
  self->core.wants_result = true;
  return park_for(L, self, job, UJ_NEVER, UJ_OP_CLOSE, close_ended);
}

static int job_cancel(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, "cancel");
  uj_job_cancel(&job->core);
  if (job == S->current)
    uj_interrupt_limits_changed(S);
  return 0;
}

/* ---- properties -------------------------------------------------------- */

/* Nil where it is not measured. */
static void push_cpu_time(lua_State *L, const struct uj_ljob *job)
{
  if (job->cpu_ns > 0 || uj_state(L)->stats.timed)
    lua_pushnumber(L, (lua_Number)job->cpu_ns / 1e9);
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
    uj_ljob_get_extra(L, 1, "name");
  else if (strcmp(key, "scheduler") == 0)
    uj_ljob_push_sched(L, 1);
  else if (strcmp(key, "resumes") == 0)
    lua_pushinteger(L, job->resumes);
  else if (strcmp(key, "preemptions") == 0)
    lua_pushinteger(L, job->core.preemptions);
  else if (strcmp(key, "cpu_time") == 0)
    push_cpu_time(L, job);
  else
    return false;
  return true;
}

static int job_newindex(lua_State *L)
{
  uj_ljob_self(L, "newindex");
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
  uj_ljob_set_extra(L, 1, "name");
  return 0;
}

void uj_ljob_register(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"wait", job_wait},           {"join", job_join},
      {"close", job_close},         {"cancel", job_cancel},
      {"traceback", job_traceback}, {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__tostring", job_tostring}, {"__newindex", job_newindex}, {NULL, NULL}};
  static const struct uj_type type = {.tag = uj_job_tag,
                                      .methods = methods,
                                      .meta = meta,
                                      .property = push_property};
  uj_object_register(L, &type);
}
