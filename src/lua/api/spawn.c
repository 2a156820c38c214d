#include "lua/api/spawn.h"

#include <lauxlib.h>
#include <stddef.h>
#include <string.h>

#include "core/admit.h"
#include "core/sched.h"
#include "lua/base/args.h"
#include "lua/base/options.h"
#include "lua/engine/suspend.h"
#include "lua/state/context.h"
#include "lua/state/error.h"
#include "lua/state/job.h"
#include "lua/state/outcome.h"
#include "lua/state/sched.h"

/* ---- making a job -------------------------------------------------------- */

enum { MAX_ARGS = 240 };

/* [-0, +0, m] Records where the job on the top was spawned. */
static void record_source(lua_State *L)
{
  luaL_traceback(L, L, NULL, 1);
  uj_ljob_set_extra(L, -2, "source");
}

/* [-0, +1, m] Pushes the userdata of a job with room for its arguments.
 *
 * uj_job_init() sets all of `core`; zeroing the fields behind that by their
 * size instead of by name forgets none. */
static struct uj_ljob *push_record(lua_State *L, struct uj_sched *sched,
                                   int nargs)
{
  const size_t behind_core = offsetof(struct uj_ljob, co);
  struct uj_ljob *job =
      lua_newuserdatauv(L, sizeof(*job), UJ_JOB_UV_ARGS - 1 + nargs);
  job->object.tag = uj_job_tag;
  uj_job_init(&job->core, sched);
  memset((char *)job + behind_core, 0, sizeof(*job) - behind_core);
  job->ninputs = (unsigned)nargs;
  return job;
}

/* [-0, +1, m] Pushes a new job, not yet admitted: of the scheduler at `at`, for
 * the function at `fn` and the arguments above it. `name` is the calling
 * function. */
static struct uj_ljob *push_new(struct uj_state *S, lua_State *L, int at,
                                int fn, const char *name)
{
  int nargs = lua_gettop(L) - fn;
  struct uj_ljob *job;
  if (nargs > MAX_ARGS)
    luaL_error(L, "too many arguments to '%s' (at most %d)", name, MAX_ARGS);
  job = push_record(L, &uj_lsched_at(L, at)->core, nargs);
  for (int i = 0; i <= nargs; i++) {
    lua_pushvalue(L, fn + i);
    lua_setiuservalue(L, -2, UJ_JOB_UV_VALUE + i);
  }
  lua_getiuservalue(L, at, UJ_SCHED_UV_JOB_TYPE);
  lua_setmetatable(L, -2);
  if (S->current != NULL) {
    job->parent = S->current->core.id;
    if (S->current->has_context)
      uj_context_inherit(S, L, job);
  }
  if (S->debug)
    record_source(L);
  return job;
}

struct uj_ljob *uj_spawn_make_main(struct uj_state *S, lua_State *L, int fn,
                                   const char *name)
{
  struct uj_lsched *sched = uj_lsched_new(S, L);
  struct uj_ljob *job;
  uj_sched_set_limit(&sched->core, UJ_UNLIMITED);
  lua_pushliteral(L, "main");
  lua_setiuservalue(L, -2, UJ_SCHED_UV_NAME);
  lua_insert(L, fn);
  job = push_new(S, L, fn, fn + 1, name);
  lua_replace(L, fn + 1);
  lua_settop(L, fn + 1);
  lua_pushliteral(L, "main");
  uj_ljob_set_extra(L, -2, "name");
  uj_ljob_keep(S, L, job);
  return job;
}

/* The repetition is a user value behind the arguments of the job, which keeps
 * it after it has started, too. */
enum { OCCURRENCE_ARGS = 1 };

struct uj_ljob *uj_spawn_make_occurrence(struct uj_state *S, lua_State *L,
                                         int at)
{
  struct uj_ljob *job = push_new(S, L, at, lua_gettop(L) - 2, "repeating");
  job->ninputs = OCCURRENCE_ARGS;
  job->repeats = true;
  return job;
}

void uj_spawn_push_repetition(lua_State *L, int idx)
{
  lua_getiuservalue(L, idx, UJ_JOB_UV_ARGS + OCCURRENCE_ARGS);
}

/* ---- the options of spawn() ---------------------------------------------- */

struct spawn_options {
  uint64_t timeout_ns;
  bool is_silent; /* report = false */
};

static void take_timeout(lua_State *L, const struct uj_options_table *options,
                         void *into)
{
  ((struct spawn_options *)into)->timeout_ns = uj_option_seconds(L, options);
}

static void take_name(lua_State *L, const struct uj_options_table *options,
                      void *into)
{
  (void)into;
  if (lua_type(L, -1) != LUA_TSTRING)
    uj_option_error(L, options, "string");
}

static void take_report(lua_State *L, const struct uj_options_table *options,
                        void *into)
{
  ((struct spawn_options *)into)->is_silent = !uj_option_boolean(L, options);
}

static const struct uj_option spawn_known[] = {
    {"timeout", take_timeout},
    {"name", take_name},
    {"report", take_report},
    {NULL, NULL},
};

/* [-0, +1, m] Makes the job of a spawn() with options. Stack: self, options,
 * fn, arguments. */
static struct uj_ljob *push_with_options(struct uj_state *S, lua_State *L,
                                         const struct uj_callee *callee)
{
  struct spawn_options options = {.timeout_ns = UJ_NEVER};
  struct uj_ljob *job;
  uj_options_read(L, callee, 2, spawn_known, &options);
  uj_arg_function(L, callee, 3);
  job = push_new(S, L, 1, 3, callee->name);
  job->core.deadline_ns = options.timeout_ns;
  if (options.is_silent)
    job->core.heard = UJ_HEARS_ALL;
  lua_pushliteral(L, "name");
  if (lua_rawget(L, 2) == LUA_TNIL)
    lua_pop(L, 1);
  else
    uj_ljob_set_extra(L, -2, "name");
  return job;
}

/* [-0, +1, m] Makes the job of a spawn() and keeps it. Stack: self, [options,]
 * fn, arguments. */
static struct uj_ljob *push_spawned(struct uj_state *S, lua_State *L,
                                    const struct uj_callee *callee)
{
  int type = lua_type(L, 2);
  struct uj_ljob *job;
  if (type == LUA_TTABLE)
    job = push_with_options(S, L, callee);
  else {
    if (type != LUA_TFUNCTION)
      uj_arg_function(L, callee, 2);
    job = push_new(S, L, 1, 2, callee->name);
  }
  uj_ljob_keep(S, L, job);
  return job;
}

/* ---- spawning ------------------------------------------------------------ */

/* Checks the function of a spawn() that makes no job. */
static void check_function(lua_State *L, const struct uj_callee *callee)
{
  uj_arg_function(L, callee, lua_istable(L, 2) ? 3 : 2);
}

/* Admits a new job, or lets go of it. Even where there was room before the job
 * was made there may be none now: making it can run the collector, and that
 * finalizers which spawn. */
static int admit(struct uj_state *S, struct uj_lsched *sched,
                 struct uj_ljob *job)
{
  int status = uj_sched_spawn(&sched->core, &job->core);
  if (status != UJ_OK)
    uj_slots_drop(&S->jobs, job->slot);
  return status;
}

int uj_spawn_keep_and_admit(struct uj_state *S, lua_State *L,
                            struct uj_ljob *job)
{
  uj_ljob_keep(S, L, job);
  return admit(S, uj_lsched_of(job->core.sched), job);
}

static int raise_refusal(lua_State *L, int status)
{
  lua_pushnil(L);
  return uj_error_raise(L,
                        status == UJ_ECLOSED ? UJ_CODE_CLOSED : UJ_CODE_FULL);
}

/* Stack: ..., job. */
static int spawn_admitted(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  (void)status;
  (void)ctx;
  if (uj_suspend_result(S, L) == UJ_WAKE_CLOSED)
    return raise_refusal(L, UJ_ECLOSED);
  return 1;
}

int uj_spawn_spawn(lua_State *L)
{
  static const struct uj_callee callee = {"spawn", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, callee.name);
  bool can_suspend = uj_suspend_can(S, L);
  struct uj_ljob *job;
  int status = uj_sched_room(&sched->core);
  if (status == UJ_ECLOSED || (status == UJ_EFULL && !can_suspend)) {
    check_function(L, &callee);
    return raise_refusal(L, status);
  }
  if (can_suspend && uj_suspend_needed(S->current)) {
    check_function(L, &callee);
    return uj_suspend(L, S->current, NULL, UJ_NEVER, UJ_OP_SPAWN,
                      uj_suspend_return_nothing);
  }
  job = push_spawned(S, L, &callee);
  if (can_suspend && uj_sched_room(&sched->core) == UJ_EFULL) {
    uj_sched_block(&sched->core, &job->core, &S->current->core);
    return lua_yieldk(L, 0, 0, spawn_admitted);
  }
  status = admit(S, sched, job);
  return status == UJ_OK ? 1 : raise_refusal(L, status);
}

static int push_refusal(lua_State *L, int status)
{
  lua_pushnil(L);
  lua_pushstring(L, status == UJ_ECLOSED ? "closed" : "full");
  return 2;
}

int uj_spawn_try_spawn(lua_State *L)
{
  static const struct uj_callee callee = {"try_spawn", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, callee.name);
  int status = uj_sched_room(&sched->core);
  if (status != UJ_OK) {
    check_function(L, &callee);
    return push_refusal(L, status);
  }
  status = admit(S, sched, push_spawned(S, L, &callee));
  return status == UJ_OK ? 1 : push_refusal(L, status);
}

/* ---- shielding ----------------------------------------------------------- */

/* Stack: job. When the caller is interrupted it does not take the job's error,
 * which then goes to the exception handler. */
static int shield_ended(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  uj_suspend_result(uj_state(L), L);
  return uj_outcome_push_results(L, 1);
}

/* [-n, +1, m] Replaces the stack, which is self, fn, arguments, by a job that
 * runs outside of the limit; raises when the scheduler is closed. */
static struct uj_ljob *start_shielded(struct uj_state *S, lua_State *L,
                                      struct uj_sched *sched, const char *name)
{
  struct uj_ljob *job = push_new(S, L, 1, 2, name);
  uj_ljob_keep(S, L, job);
  lua_replace(L, 1);
  lua_settop(L, 1);
  if (uj_sched_shield(sched, &job->core) != UJ_OK) {
    uj_slots_drop(&S->jobs, job->slot);
    raise_refusal(L, UJ_ECLOSED);
  }
  return job;
}

int uj_spawn_shield(lua_State *L)
{
  static const struct uj_callee callee = {"shield", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, callee.name);
  struct uj_ljob *caller, *job;
  uj_arg_function(L, &callee, 2);
  caller = uj_suspend_check(S, L, callee.name);
  if (sched->core.closed)
    return raise_refusal(L, UJ_ECLOSED);
  if (uj_suspend_needed(caller))
    return uj_suspend(L, caller, NULL, UJ_NEVER, UJ_LOP_SHIELD,
                      uj_suspend_return_nothing);
  job = start_shielded(S, L, &sched->core, callee.name);
  caller->core.hears = UJ_HEARS_FAILED;
  caller->core.target = &job->core;
  return uj_suspend(L, caller, &job->core.waiters, UJ_NEVER, UJ_LOP_SHIELD,
                    shield_ended);
}
