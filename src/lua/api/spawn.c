#include "lua/api/spawn.h"

#include <lauxlib.h>
#include <stddef.h>
#include <string.h>

#include "core/admit.h"
#include "core/sched.h"
#include "lua/api/making.h"
#include "lua/api/order.h"
#include "lua/base/args.h"
#include "lua/base/options.h"
#include "lua/engine/suspend.h"
#include "lua/measure/meter.h"
#include "lua/state/context.h"
#include "lua/state/error.h"
#include "lua/state/job.h"
#include "lua/state/outcome.h"
#include "lua/state/sched.h"
#include "lua/state/unseen.h"

/* ---- the options of spawn() ---------------------------------------------- */

struct spawn_options {
  uint64_t timeout_ns;
  bool is_silent; /* report = false */
  bool is_ranked; /* it asks for what only a scheduler with an order has */
  struct uj_rank_options rank;
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

static void take_priority(lua_State *L, const struct uj_options_table *options,
                          void *into)
{
  struct spawn_options *spawn = into;
  spawn->rank.priority = uj_lorder_take_priority(L, options);
  spawn->is_ranked = true;
}

/* The value gets its place on the stack when all options have been read. */
static void take_key(lua_State *L, const struct uj_options_table *options,
                     void *into)
{
  struct spawn_options *spawn = into;
  uj_lorder_take_key(L, options);
  spawn->rank.key = options->idx;
  spawn->is_ranked = true;
}

static void take_unique(lua_State *L, const struct uj_options_table *options,
                        void *into)
{
  ((struct spawn_options *)into)->rank.is_unique =
      uj_option_boolean(L, options);
}

static const struct uj_option spawn_known[] = {
    {"timeout", take_timeout},
    {"name", take_name},
    {"report", take_report},
    {"priority", take_priority},
    {"key", take_key},
    {"unique", take_unique},
    {NULL, NULL},
};

static const struct spawn_options spawn_defaults = {
    .timeout_ns = UJ_NEVER, .rank = {.priority = UJ_LEVEL_DEFAULT}};

static struct spawn_options read_options(lua_State *L,
                                         const struct uj_callee *callee)
{
  struct spawn_options options = spawn_defaults;
  uj_options_read(L, callee, 2, spawn_known, &options);
  if (options.rank.is_unique && options.rank.key == 0)
    uj_arg_error(L, callee, 2, "option 'unique' needs the option 'key'");
  return options;
}

/* [-0, +1, -] Pushes the key of a spawn() with options that has one. */
static void push_key(lua_State *L)
{
  lua_pushliteral(L, "key");
  lua_rawget(L, 2);
}

/* [-0, +0, m] Keeps the job on the top, of a spawn() with options, and gives
 * it its rank. Making room for a key can end other jobs, and so remove the key:
 * it is done before the job is kept, and once more behind. */
static void keep_ranked(struct uj_state *S, lua_State *L, struct uj_ljob *job,
                        struct spawn_options *options)
{
  const struct uj_sched *sched = job->core.sched;
  int top = lua_gettop(L);
  if (options->rank.key != 0) {
    push_key(L);
    options->rank.key = top + 1;
    uj_lorder_prepare_key(L, 1, top + 1,
                          sched->npending >= sched->pending_limit);
  }
  lua_pushvalue(L, top);
  uj_ljob_keep(S, L, job);
  uj_lorder_rank(L, 1, job, &options->rank);
  lua_settop(L, top);
}

/* [-0, +1, m] Makes the job of a spawn() with options and keeps it. Stack:
 * self, options, fn, arguments. It is not inlined, because most spawns have
 * none and need no room for them on the stack. */
UJ_SELDOM static struct uj_ljob *
push_with_options(struct uj_state *S, lua_State *L,
                  const struct uj_callee *callee)
{
  struct spawn_options options = read_options(L, callee);
  struct uj_ljob *job;
  uj_arg_function(L, callee, 3);
  if (options.is_ranked)
    uj_lorder_need(L, 1);
  job = uj_make_job(S, L, 1, 3, callee->name);
  job->core.deadline_ns = options.timeout_ns;
  if (options.is_silent)
    job->core.heard = UJ_HEARS_ALL;
  lua_pushliteral(L, "name");
  if (lua_rawget(L, 2) == LUA_TNIL)
    lua_pop(L, 1);
  else
    uj_ljob_set_extra(L, -2, "name");
  if (job->core.ranked)
    keep_ranked(S, L, job, &options);
  else
    uj_ljob_keep(S, L, job);
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
    return push_with_options(S, L, callee);
  if (type != LUA_TFUNCTION)
    uj_arg_function(L, callee, 2);
  job = uj_make_job(S, L, 1, 2, callee->name);
  uj_ljob_keep(S, L, job);
  return job;
}

/* ---- spawning ------------------------------------------------------------ */

/* Checks the function of a spawn() that makes no job. */
static void check_function(lua_State *L, const struct uj_callee *callee)
{
  uj_arg_function(L, callee, lua_istable(L, 2) ? 3 : 2);
}

/* Lets go of a new job that is kept. */
UJ_SELDOM static void let_go(struct uj_state *S, struct uj_ljob *job)
{
  if (job->core.ranked)
    uj_lorder_forget(S, job);
  uj_ljob_release(S, job);
}

/* Admits a new job, or lets go of it. Even where there was room before the job
 * was made there may be none now: making it can run the collector, and that
 * finalizers which spawn. */
static int admit(struct uj_state *S, struct uj_lsched *sched,
                 struct uj_ljob *job)
{
  int status = uj_sched_spawn(&sched->core, &job->core);
  if (status != UJ_OK)
    let_go(S, job);
  return status;
}

int uj_spawn_keep_and_admit(struct uj_state *S, lua_State *L, int at,
                            struct uj_ljob *job,
                            const struct uj_rank_options *rank)
{
  if (job->core.ranked && rank->key != 0)
    uj_lorder_prepare_key(L, at, rank->key, false);
  uj_ljob_keep(S, L, job);
  if (job->core.ranked)
    uj_lorder_rank(L, at, job, rank);
  return admit(S, uj_lsched_of(job->core.sched), job);
}

static int raise_refusal(lua_State *L, int status)
{
  lua_pushnil(L);
  return uj_error_raise(L,
                        status == UJ_ECLOSED ? UJ_CODE_CLOSED : UJ_CODE_FULL);
}

static int push_refusal(lua_State *L, int status)
{
  lua_pushnil(L);
  lua_pushstring(L, status == UJ_ECLOSED ? "closed" : "full");
  return 2;
}

/* What a spawn returns. Stack: ..., the job, or the one there is already. */
static int return_job(lua_State *L, const struct uj_ljob *job, bool is_new)
{
  if (!job->core.ranked || !uj_job_rank(&job->core)->is_unique)
    return 1;
  lua_pushboolean(L, is_new);
  return 2;
}

/* Stack: ..., job. */
static int spawn_admitted(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  const struct uj_ljob *job = uj_ljob_at(L, -1);
  bool is_new = true;
  (void)status;
  (void)ctx;
  if (uj_suspend_result(S, L) == UJ_WAKE_CLOSED)
    return raise_refusal(L, UJ_ECLOSED);
  if (job->core.ranked && uj_job_rank(&job->core)->is_turned_away) {
    uj_ljob_get_value(L, job, lua_gettop(L));
    is_new = false;
  }
  return return_job(L, job, is_new);
}

/* The job has come to a scheduler that is full. Its key has room for blocked
 * jobs, unless the scheduler was not full before finalizers ran. */
static int block_ranked(struct uj_state *S, lua_State *L, struct uj_ljob *job)
{
  if (uj_job_rank(&job->core)->key->blocked == NULL) {
    uj_lorder_push_key(L, lua_gettop(L));
    uj_lorder_prepare_key(L, 1, lua_gettop(L), true);
    lua_pop(L, 1);
  }
  uj_sched_block(job->core.sched, &job->core, &S->current->core);
  return lua_yieldk(L, 0, 0, spawn_admitted);
}

/* Ends a spawn whose job, which is on the top, has a rank. */
UJ_SELDOM static int spawn_ranked(struct uj_state *S, lua_State *L,
                                  struct uj_ljob *job, bool can_suspend,
                                  int (*refuse)(lua_State *L, int status))
{
  int status;
  if (uj_job_rank(&job->core)->is_unique && uj_lorder_push_twin(S, L, job)) {
    let_go(S, job);
    return return_job(L, job, false);
  }
  status = uj_sched_spawn(job->core.sched, &job->core);
  if (status == UJ_EFULL && can_suspend)
    return block_ranked(S, L, job);
  if (status == UJ_OK)
    return return_job(L, job, true);
  let_go(S, job);
  return refuse(L, status);
}

/* Whether a spawn with options is to be unique and there is a job of its key,
 * which is then pushed, and false. Not inlined: see push_with_options(). */
UJ_SELDOM static bool push_twin(struct uj_state *S, lua_State *L,
                                const struct uj_callee *callee)
{
  struct spawn_options options;
  bool found;
  if (!lua_istable(L, 2))
    return false;
  options = read_options(L, callee);
  if (!options.rank.is_unique)
    return false;
  uj_arg_function(L, callee, 3);
  push_key(L);
  found = uj_lorder_push_oldest(S, L, 1, lua_gettop(L));
  if (found)
    lua_pushboolean(L, 0);
  else
    lua_pop(L, 1);
  return found;
}

/* A spawn in a scheduler that has an order: a job that is to be unique and is
 * there needs no room, and whether there is room depends on the key. */
UJ_SELDOM static int spawn_by_order(struct uj_state *S, lua_State *L,
                                    const struct uj_callee *callee,
                                    bool can_suspend,
                                    int (*refuse)(lua_State *L, int status))
{
  int status = uj_sched_room(&uj_lsched_at(L, 1)->core);
  bool is_interrupted = can_suspend && uj_suspend_needed(S->current);
  if (status != UJ_ECLOSED && !is_interrupted && push_twin(S, L, callee))
    return 2;
  if (status == UJ_ECLOSED || (status == UJ_EFULL && !can_suspend)) {
    check_function(L, callee);
    return refuse(L, status);
  }
  if (is_interrupted) {
    check_function(L, callee);
    return uj_suspend(L, S->current, NULL, UJ_NEVER, UJ_OP_SPAWN,
                      uj_suspend_return_nothing);
  }
  return spawn_ranked(S, L, push_spawned(S, L, callee), can_suspend, refuse);
}

/* ---- spawning what nobody sees --------------------------------------------
 */

/* Whether a job that is spawned now in a scheduler without an order can be
 * unseen: nobody takes its handle, and it has nothing that needs more than a
 * record as most have it. Stack: self, fn, arguments. */
static inline bool is_unseen(const struct uj_state *S, lua_State *L)
{
  return lua_gettop(L) <= 2 + UJ_UNSEEN_ARGS && uj_unseen_is_dropped(S, L) &&
         lua_type(L, 2) == LUA_TFUNCTION && !S->measures && !S->debug &&
         (S->current == NULL || !S->current->has_context);
}

/* The job that the caller could not spawn was admitted, or was dropped; it may
 * have ended, and its record may be that of another one. */
static int unseen_admitted(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  return uj_suspend_result(uj_state(L), L) == UJ_WAKE_CLOSED
             ? raise_refusal(L, UJ_ECLOSED)
             : 0;
}

static int spawn_unseen(struct uj_state *S, lua_State *L,
                        struct uj_lsched *sched, bool can_suspend,
                        int (*refuse)(lua_State *L, int status))
{
  struct uj_ljob *job = uj_make_unseen(S, L);
  int status;
  if (can_suspend && uj_sched_room(&sched->core) == UJ_EFULL) {
    uj_sched_block(&sched->core, &job->core, &S->current->core);
    return lua_yieldk(L, 0, 0, unseen_admitted);
  }
  status = admit(S, sched, job);
  return status == UJ_OK ? 0 : refuse(L, status);
}

/* ---- spawning, without an order -------------------------------------------
 */

int uj_spawn_spawn(lua_State *L)
{
  static const struct uj_callee callee = {"spawn", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, callee.name);
  bool can_suspend = uj_suspend_can(S, L);
  struct uj_ljob *job;
  int status;
  if (sched->core.order != NULL)
    return spawn_by_order(S, L, &callee, can_suspend, raise_refusal);
  status = uj_sched_room(&sched->core);
  if (status == UJ_ECLOSED || (status == UJ_EFULL && !can_suspend)) {
    check_function(L, &callee);
    return raise_refusal(L, status);
  }
  if (can_suspend && uj_suspend_needed(S->current)) {
    check_function(L, &callee);
    return uj_suspend(L, S->current, NULL, UJ_NEVER, UJ_OP_SPAWN,
                      uj_suspend_return_nothing);
  }
  if (is_unseen(S, L))
    return spawn_unseen(S, L, sched, can_suspend, raise_refusal);
  job = push_spawned(S, L, &callee);
  if (job->core.ranked)
    return spawn_ranked(S, L, job, can_suspend, raise_refusal);
  if (can_suspend && uj_sched_room(&sched->core) == UJ_EFULL) {
    uj_sched_block(&sched->core, &job->core, &S->current->core);
    return lua_yieldk(L, 0, 0, spawn_admitted);
  }
  status = admit(S, sched, job);
  return status == UJ_OK ? 1 : raise_refusal(L, status);
}

int uj_spawn_try_spawn(lua_State *L)
{
  static const struct uj_callee callee = {"try_spawn", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, callee.name);
  struct uj_ljob *job;
  int status;
  if (sched->core.order != NULL)
    return spawn_by_order(S, L, &callee, false, push_refusal);
  status = uj_sched_room(&sched->core);
  if (status != UJ_OK) {
    check_function(L, &callee);
    return push_refusal(L, status);
  }
  if (is_unseen(S, L))
    return spawn_unseen(S, L, sched, false, push_refusal);
  job = push_spawned(S, L, &callee);
  if (job->core.ranked)
    return spawn_ranked(S, L, job, false, push_refusal);
  status = admit(S, sched, job);
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
  struct uj_ljob *job = uj_make_job(S, L, 1, 2, name);
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
