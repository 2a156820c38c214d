#include "lua/api/sched.h"

#include <assert.h>
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "lua/base/args.h"
#include "lua/engine/interrupt.h"
#include "lua/engine/report.h"
#include "lua/engine/suspend.h"
#include "lua/state/context.h"
#include "lua/state/error.h"
#include "lua/state/job.h"
#include "lua/state/outcome.h"

static const char sched_tag[] = UJ_SCHED_TYPE;

/* NULL for another value. */
static struct uj_lsched *if_sched(lua_State *L, int idx)
{
  return uj_object_to(L, idx, sched_tag);
}

static struct uj_lsched *to_sched(lua_State *L, int idx)
{
  struct uj_lsched *sched = if_sched(L, idx);
  assert(sched != NULL);
  return sched;
}

struct uj_sched *uj_lsched_at(lua_State *L, int idx)
{
  return &to_sched(L, idx)->core;
}

static struct uj_lsched *check_self(lua_State *L, const char *name)
{
  return uj_object_self(L, sched_tag, name);
}

/* ---- making one -------------------------------------------------------- */

/* [-0, +0, m] Gives the scheduler on the top the metatable of its jobs: a copy
 * of the common one, that knows it. */
static void make_job_type(struct uj_state *S, lua_State *L)
{
  int sched = lua_gettop(L);
  uj_state_push_hub(S, L, UJ_HUB_JOB_TYPE);
  uj_object_push_copy(L, UJ_JOB_TYPE_SCHED);
  lua_pushvalue(L, sched);
  lua_rawseti(L, -2, UJ_JOB_TYPE_SCHED);
  lua_setiuservalue(L, sched, UJ_SCHED_UV_JOB_TYPE);
  lua_settop(L, sched);
}

struct uj_lsched *uj_lsched_new(struct uj_state *S, lua_State *L)
{
  struct uj_lsched *sched =
      lua_newuserdatauv(L, sizeof(*sched), UJ_SCHED_UV_COUNT);
  uj_object_init_counted(&sched->object, sched_tag);
  sched->nursery = false;
  sched->failed = NULL;
  uj_sched_init(&sched->core, &S->loop);
  luaL_setmetatable(L, UJ_SCHED_TYPE);
  make_job_type(S, L);
  return sched;
}

/* Without jobs, or when the Lua state closes: then the state itself, which is
 * collected last, lets go of the jobs. */
static int sched_gc(lua_State *L)
{
  struct uj_lsched *sched = if_sched(L, 1);
  if (sched == NULL || sched->core.nlive > 0)
    return 0;
  uj_waitq_close(&sched->core.idle);
  uj_sched_term(&sched->core);
  return 0;
}

struct sched_options {
  struct uj_sched core;
  bool nursery;
  int top; /* the stack index of the name, followed by the handler */
};

static void take_limit(lua_State *L, const struct uj_options *options,
                       void *into)
{
  ((struct sched_options *)into)->core.limit = uj_option_count(L, options, 1);
}

static void take_pending_limit(lua_State *L, const struct uj_options *options,
                               void *into)
{
  ((struct sched_options *)into)->core.pending_limit =
      uj_option_count(L, options, 0);
}

static void take_close_timeout(lua_State *L, const struct uj_options *options,
                               void *into)
{
  ((struct sched_options *)into)->core.close_ns = uj_option_seconds(L, options);
}

static void take_wait_timeout(lua_State *L, const struct uj_options *options,
                              void *into)
{
  ((struct sched_options *)into)->core.wait_ns = uj_option_seconds(L, options);
}

static void take_name(lua_State *L, const struct uj_options *options,
                      void *into)
{
  if (lua_type(L, -1) != LUA_TSTRING)
    uj_option_error(L, options, "string");
  lua_copy(L, -1, ((struct sched_options *)into)->top);
}

static void take_handler(lua_State *L, const struct uj_options *options,
                         void *into)
{
  if (!lua_isfunction(L, -1))
    uj_option_error(L, options, "function");
  lua_copy(L, -1, ((struct sched_options *)into)->top + 1);
}

static void take_on_error(lua_State *L, const struct uj_options *options,
                          void *into)
{
  const char *value = uj_option_word(L);
  bool cancel = strcmp(value, "cancel") == 0;
  if (!cancel && strcmp(value, "report") != 0)
    uj_option_error(L, options, "'report' or 'cancel'");
  ((struct sched_options *)into)->nursery = cancel;
}

static void take_timeslice(lua_State *L, const struct uj_options *options,
                           void *into)
{
  ((struct sched_options *)into)->core.slice_ns = uj_option_slice(L, options);
}

static const struct uj_option sched_known[] = {
    {"limit", take_limit},
    {"pending_limit", take_pending_limit},
    {"close_timeout", take_close_timeout},
    {"wait_timeout", take_wait_timeout},
    {"timeslice", take_timeslice},
    {"name", take_name},
    {"exception_handler", take_handler},
    {"on_error", take_on_error},
    {NULL, NULL},
};

static const struct uj_callee scheduler_callee = {"scheduler", 0};

/* Sets what the options say. Stack: sched, name, handler. */
static void apply(lua_State *L, struct uj_lsched *sched,
                  const struct sched_options *options)
{
  sched->core.limit = options->core.limit;
  sched->core.pending_limit = options->core.pending_limit;
  sched->core.close_ns = options->core.close_ns;
  sched->core.wait_ns = options->core.wait_ns;
  sched->core.slice_ns = options->core.slice_ns;
  sched->nursery = options->nursery;
  lua_setiuservalue(L, -3, UJ_SCHED_UV_HANDLER);
  lua_setiuservalue(L, -2, UJ_SCHED_UV_NAME);
}

int uj_lsched_scheduler(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched;
  struct sched_options options;
  lua_settop(L, 1);
  if (!lua_isnoneornil(L, 1) && !lua_istable(L, 1))
    uj_arg_typeerror(L, &scheduler_callee, 1, "table");
  sched = uj_lsched_new(S, L);
  options.core = sched->core;
  options.nursery = false;
  lua_settop(L, 4);
  options.top = 3;
  if (lua_istable(L, 1))
    uj_options_read(L, &scheduler_callee, 1, sched_known, &options);
  apply(L, sched, &options);
  uj_interrupt_add_slice(S, sched->core.slice_ns);
  return 1;
}

/* ---- spawning ---------------------------------------------------------- */

enum { MAX_ARGS = 240 };

/* [-0, +0, m] Records where the job on the top was spawned. */
static void record_source(lua_State *L)
{
  luaL_traceback(L, L, NULL, 1);
  uj_ljob_set_extra(L, -2, "source");
}

struct uj_ljob *uj_lsched_new_job(struct uj_state *S, lua_State *L, int at,
                                  int fn, const char *name)
{
  struct uj_lsched *sched = lua_touserdata(L, at);
  int nargs = lua_gettop(L) - fn;
  struct uj_ljob *job;
  if (nargs > MAX_ARGS)
    luaL_error(L, "too many arguments to '%s' (at most %d)", name, MAX_ARGS);
  job = lua_newuserdatauv(L, sizeof(*job), UJ_JOB_UV_ARGS - 1 + nargs);
  uj_job_init(&job->core, &sched->core);
  job->object.tag = uj_job_tag;
  job->co = NULL;
  job->cpu_ns = 0;
  job->co_slot = 0;
  job->slot = 0;
  job->resumes = 0;
  job->ninputs = (unsigned)nargs;
  job->nresults = UJ_RESULTS_NONE;
  job->outcome = UJ_JOB_NEW;
  job->has_extra = false;
  job->has_context = false;
  job->has_failure = false;
  job->is_awaited = false;
  job->polls = false;
  job->poll_failed = false;
  for (int i = 0; i <= nargs; i++) {
    lua_pushvalue(L, fn + i);
    lua_setiuservalue(L, -2, UJ_JOB_UV_VALUE + i);
  }
  lua_getiuservalue(L, at, UJ_SCHED_UV_JOB_TYPE);
  lua_setmetatable(L, -2);
  if (S->current != NULL && S->current->has_context)
    uj_context_inherit(S, L, job);
  if (S->debug)
    record_source(L);
  return job;
}

struct spawn_options {
  uint64_t timeout_ns;
};

static void take_timeout(lua_State *L, const struct uj_options *options,
                         void *into)
{
  ((struct spawn_options *)into)->timeout_ns = uj_option_seconds(L, options);
}

static void take_job_name(lua_State *L, const struct uj_options *options,
                          void *into)
{
  (void)into;
  if (lua_type(L, -1) != LUA_TSTRING)
    uj_option_error(L, options, "string");
}

static const struct uj_option spawn_known[] = {
    {"timeout", take_timeout},
    {"name", take_job_name},
    {NULL, NULL},
};

static bool is_full(const struct uj_sched *sched)
{
  return sched->nactive >= sched->limit &&
         sched->npending >= sched->pending_limit;
}

/* [-0, +1, m] Makes the job of a spawn() with options. Stack: self, options,
 * fn, arguments. */
static struct uj_ljob *make_job_with(struct uj_state *S, lua_State *L,
                                     const struct uj_callee *callee)
{
  struct spawn_options options = {.timeout_ns = UJ_NEVER};
  struct uj_ljob *job;
  uj_options_read(L, callee, 2, spawn_known, &options);
  uj_arg_function(L, callee, 3);
  job = uj_lsched_new_job(S, L, 1, 3, callee->name);
  job->core.deadline_ns = options.timeout_ns;
  lua_pushliteral(L, "name");
  if (lua_rawget(L, 2) == LUA_TNIL)
    lua_pop(L, 1);
  else
    uj_ljob_set_extra(L, -2, "name");
  return job;
}

/* The same for all of spawn()'s arguments; leaves the job on the top. */
static struct uj_ljob *make_job(struct uj_state *S, lua_State *L,
                                const struct uj_callee *callee)
{
  int type = lua_type(L, 2);
  struct uj_ljob *job;
  if (type == LUA_TTABLE)
    job = make_job_with(S, L, callee);
  else {
    if (type != LUA_TFUNCTION)
      uj_arg_function(L, callee, 2);
    job = uj_lsched_new_job(S, L, 1, 2, callee->name);
  }
  uj_ljob_keep(S, L, job);
  return job;
}

/* Stack: ..., job. */
static int spawn_admitted(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  (void)status;
  (void)ctx;
  if (uj_suspend_result(S, L) == UJ_WAKE_CLOSED) {
    lua_pushnil(L);
    return uj_error_raise(L, UJ_CODE_CLOSED);
  }
  return 1;
}

/* For an operation that did nothing but suspend: it raises or returns. */
static int close_ended(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  uj_suspend_result(uj_state(L), L);
  return 0;
}

static int raise_code(lua_State *L, int status)
{
  lua_pushnil(L);
  return uj_error_raise(L,
                        status == UJ_ECLOSED ? UJ_CODE_CLOSED : UJ_CODE_FULL);
}

/* Whether there is room for a job: UJ_OK, UJ_ECLOSED or UJ_EFULL. */
static int look_for_room(const struct uj_sched *sched)
{
  if (sched->closed)
    return UJ_ECLOSED;
  return is_full(sched) ? UJ_EFULL : UJ_OK;
}

/* Admits a new job. There may be no room any more: making it can run the
 * collector, and that finalizers of the user. It is let go of then. */
static int admit(struct uj_state *S, struct uj_lsched *sched,
                 struct uj_ljob *job)
{
  int status = uj_sched_spawn(&sched->core, &job->core);
  if (status != UJ_OK)
    uj_slots_drop(&S->jobs, job->slot);
  return status;
}

static int sched_spawn(lua_State *L)
{
  static const struct uj_callee callee = {"spawn", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = check_self(L, callee.name);
  bool can_suspend = uj_can_suspend(S, L);
  struct uj_ljob *job;
  int status = look_for_room(&sched->core);
  if (status == UJ_ECLOSED || (status == UJ_EFULL && !can_suspend)) {
    uj_arg_function(L, &callee, lua_istable(L, 2) ? 3 : 2);
    return raise_code(L, status);
  }
  if (can_suspend && uj_suspend_needed(S->current)) {
    uj_arg_function(L, &callee, lua_istable(L, 2) ? 3 : 2);
    return uj_suspend(L, S->current, NULL, UJ_NEVER, UJ_OP_SPAWN, close_ended);
  }
  job = make_job(S, L, &callee);
  if (can_suspend && look_for_room(&sched->core) == UJ_EFULL) {
    uj_sched_block(&sched->core, &job->core, &S->current->core);
    return lua_yieldk(L, 0, 0, spawn_admitted);
  }
  status = admit(S, sched, job);
  return status == UJ_OK ? 1 : raise_code(L, status);
}

static int push_refusal(lua_State *L, int status)
{
  lua_pushnil(L);
  lua_pushstring(L, status == UJ_ECLOSED ? "closed" : "full");
  return 2;
}

static int sched_try_spawn(lua_State *L)
{
  static const struct uj_callee callee = {"try_spawn", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = check_self(L, callee.name);
  int status = look_for_room(&sched->core);
  if (status != UJ_OK) {
    uj_arg_function(L, &callee, lua_istable(L, 2) ? 3 : 2);
    return push_refusal(L, status);
  }
  status = admit(S, sched, make_job(S, L, &callee));
  return status == UJ_OK ? 1 : push_refusal(L, status);
}

/* ---- shielding --------------------------------------------------------- */

/* Stack: job. A caller that leaves does not ask for the error any more: it goes
 * to the exception handler. */
static int shield_ended(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  (void)status;
  (void)ctx;
  uj_suspend_result(S, L);
  return uj_outcome_push_results(L, 1);
}

static int sched_shield(lua_State *L)
{
  static const struct uj_callee callee = {"shield", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = check_self(L, callee.name);
  struct uj_ljob *self, *job;
  uj_arg_function(L, &callee, 2);
  self = uj_suspend_check(S, L, callee.name);
  if (sched->core.closed)
    return raise_code(L, UJ_ECLOSED);
  if (uj_suspend_needed(self)) /* it did not happen */
    return uj_suspend(L, self, NULL, UJ_NEVER, UJ_OP_SHIELD, close_ended);
  job = uj_lsched_new_job(S, L, 1, 2, callee.name);
  uj_ljob_keep(S, L, job);
  lua_replace(L, 1);
  lua_settop(L, 1);
  if (uj_sched_shield(&sched->core, &job->core) != UJ_OK) {
    uj_slots_drop(&S->jobs, job->slot);
    return raise_code(L, UJ_ECLOSED);
  }
  self->core.wants_result = true;
  self->core.target = &job->core;
  return uj_suspend(L, self, &job->core.waiters, UJ_NEVER, UJ_OP_SHIELD,
                    shield_ended);
}

/* ---- closing ----------------------------------------------------------- */

/* [-0, +1, -] Pushes the job that made a nursery fail, and lets go of it. */
static void take_failed(struct uj_state *S, lua_State *L,
                        struct uj_lsched *sched)
{
  uj_ljob_push(S, L, sched->failed);
  uj_slots_drop(&S->jobs, sched->failed->slot);
  sched->failed = NULL;
}

/* Raises the error that closed a nursery. */
static int closed_result(lua_State *L, struct uj_lsched *sched)
{
  if (sched->failed == NULL)
    return 0;
  take_failed(uj_state(L), L, sched);
  uj_outcome_push_error(L, lua_gettop(L));
  return lua_error(L);
}

int uj_lsched_raise_failed(lua_State *L)
{
  return closed_result(L, check_self(L, "raise_failed"));
}

static void report_failed(struct uj_state *S, struct uj_lsched *sched)
{
  struct uj_ljob *job = sched->failed;
  if (job == NULL)
    return;
  uj_report_job(S, job);
  sched->failed = NULL;
  uj_slots_drop(&S->jobs, job->slot);
}

int uj_lsched_report_nursery(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (S->L != NULL)
    report_failed(S, check_self(L, "report_failed"));
  return 0;
}

/* Its handlers may end other schedulers: start anew after each. */
void uj_lsched_report_failed(struct uj_state *S)
{
  struct uj_link *list = &S->loop.scheds, *link = list->next;
  while (link != list) {
    struct uj_lsched *sched =
        uj_lsched_of(uj_container(link, struct uj_sched, link));
    bool failed = sched->failed != NULL;
    report_failed(S, sched);
    link = failed ? list->next : link->next;
  }
}

int uj_lsched_begin_close(lua_State *L)
{
  uj_state(L);
  uj_sched_close(&check_self(L, "begin_close")->core, NULL);
  return 0;
}

bool uj_lsched_fail(struct uj_ljob *job)
{
  struct uj_lsched *sched = uj_lsched_of(job->core.sched);
  if (!sched->nursery || sched->failed != NULL)
    return false;
  sched->failed = job;
  uj_sched_close(&sched->core, NULL);
  return true;
}

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

/* A job closes its own scheduler: the others end first, then it is cancelled
 * itself. */
static int close_from_inside(lua_State *L, struct uj_lsched *sched,
                             struct uj_ljob *self)
{
  uj_sched_close(&sched->core, &self->core);
  uj_sched_wait_alone(&sched->core, &self->core);
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

/* Closes the scheduler at index 1, and goes on with k if that suspends. Returns
 * true when it is done at once. */
static bool close_at_once(struct uj_state *S, lua_State *L)
{
  struct uj_lsched *sched = check_self(L, "close");
  lua_settop(L, 1);
  if (uj_is_killed(S, L) ||
      (!uj_can_suspend(S, L) && !any_started(&sched->core))) {
    uj_sched_close(&sched->core, NULL);
    return true;
  }
  uj_suspend_check(S, L, "close");
  if (S->current->core.sched == &sched->core)
    return false;
  uj_sched_close(&sched->core, &S->current->core);
  return sched->core.nlive == 0 && !uj_suspend_needed(S->current);
}

static int close_and_then(struct uj_state *S, lua_State *L, lua_KFunction k)
{
  struct uj_lsched *sched = to_sched(L, 1);
  if (S->current->core.sched == &sched->core)
    return close_from_inside(L, sched, S->current);
  return uj_suspend(L, S->current, &sched->core.idle, UJ_NEVER, UJ_OP_IDLE, k);
}

/* Stack: self. Who closes a nursery does not ask for its error. */
static int close_reported(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  (void)status;
  (void)ctx;
  uj_suspend_result(S, L);
  report_failed(S, to_sched(L, 1));
  return 0;
}

static int sched_close(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (!close_at_once(S, L))
    return close_and_then(S, L, close_reported);
  if (S->L != NULL)
    report_failed(S, to_sched(L, 1));
  return 0;
}

int uj_lsched_close_quietly(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  return close_at_once(S, L) ? 0 : close_and_then(S, L, close_ended);
}

/* Stack: self, whether it is closed when the wait is interrupted, before the
 * caller runs. */
static int waited_and_closed(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  uj_suspend_result(uj_state(L), L);
  return closed_result(L, to_sched(L, 1));
}

/* Parks the calling job until the scheduler is idle. */
static int park_idle(lua_State *L, struct uj_ljob *self,
                     struct uj_lsched *sched, uint64_t due_ns, lua_KFunction k)
{
  self->core.idle = &sched->core;
  self->core.on_abandon =
      lua_toboolean(L, 2) ? UJ_ABANDON_CLOSE : UJ_ABANDON_CLOSE_LATE;
  uj_job_park(&self->core, &sched->core.idle, due_ns, UJ_OP_IDLE);
  return lua_yieldk(L, 0, (lua_KContext)due_ns, k);
}

/* The context is the time to close at. */
static int wait_idle(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = to_sched(L, 1);
  bool waits = uj_suspend_result(S, L) == UJ_WAKE_OK;
  (void)status;
  if (waits && sched->core.nlive > 0) /* spawned since it was idle */
    return park_idle(L, S->current, sched, (uint64_t)ctx, wait_idle);
  uj_sched_close(&sched->core, &S->current->core);
  if (sched->core.nlive == 0)
    return closed_result(L, sched);
  return uj_suspend(L, S->current, &sched->core.idle, UJ_NEVER, UJ_OP_IDLE,
                    waited_and_closed);
}

static int wait_and_close(lua_State *L, bool leaving)
{
  static const struct uj_callee callee = {"wait_and_close", 1};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = check_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, sched->core.wait_ns);
  uint64_t due_ns = uj_suspend_due(S, span_ns);
  struct uj_ljob *self;
  lua_settop(L, 1);
  lua_pushboolean(L, leaving);
  if (S->current != NULL && S->current->core.sched == &sched->core)
    return luaL_error(L, "a job cannot wait for its own scheduler");
  if (sched->core.nlive == 0 &&
      !(uj_can_suspend(S, L) && uj_suspend_needed(S->current))) {
    uj_sched_close(&sched->core, NULL);
    return closed_result(L, sched);
  }
  self = uj_suspend_check(S, L, callee.name);
  return park_idle(L, self, sched, due_ns, wait_idle);
}

static int sched_wait_and_close(lua_State *L)
{
  return wait_and_close(L, false);
}

int uj_lsched_wait_and_leave(lua_State *L)
{
  return wait_and_close(L, true);
}

static int idle(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  uj_suspend_result(uj_state(L), L);
  return 0;
}

/* One that waits for it to be closed goes on waiting. */
int uj_lsched_wake_idle(lua_State *L)
{
  struct uj_link *list = &check_self(L, "wait")->core.idle.jobs;
  for (struct uj_link *link = list->next, *next; link != list; link = next) {
    struct uj_job *job = uj_container(link, struct uj_job, queue);
    next = link->next;
    if (job->on_abandon == UJ_ABANDON_CLOSE)
      uj_job_wake(job, UJ_WAKE_OK);
  }
  return 0;
}

int uj_lsched_wait_until_idle(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = check_self(L, "wait");
  struct uj_ljob *self = uj_suspend_check(S, L, "wait");
  if (sched->core.nlive == 0 && !uj_suspend_needed(self))
    return 0;
  lua_settop(L, 1);
  lua_pushboolean(L, true); /* closed when the wait is interrupted */
  return park_idle(L, self, sched, UJ_NEVER, idle);
}

/* ---- looking ----------------------------------------------------------- */

static uint64_t live_jobs(const struct uj_sched *sched)
{
  return sched->nactive + sched->npending;
}

static int sched_len(lua_State *L)
{
  const struct uj_lsched *sched = check_self(L, "len");
  lua_pushinteger(L, (lua_Integer)live_jobs(&sched->core));
  return 1;
}

/* Upvalues: the state, the jobs, the index of the last one given. */
static int next_job(lua_State *L)
{
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(3));
  for (;;) {
    if (lua_rawgeti(L, lua_upvalueindex(2), ++i) == LUA_TNIL)
      return 1;
    if (!uj_job_ended(&uj_ljob_at(L, -1)->core))
      break;
    lua_pop(L, 1);
  }
  lua_pushinteger(L, i);
  lua_replace(L, lua_upvalueindex(3));
  return 1;
}

static int sched_jobs(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = check_self(L, "jobs");
  struct uj_link *link;
  uint64_t room;
  int n = 0;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushnil(L);
  do { /* making the table can run finalizers, and they can spawn */
    room = live_jobs(&sched->core);
    lua_pop(L, 1);
    lua_createtable(L, (int)room, 0);
  } while (live_jobs(&sched->core) > room);
  for (link = sched->core.jobs.next; link != &sched->core.jobs;
       link = link->next) {
    uj_ljob_push(S, L, uj_ljob_of(uj_container(link, struct uj_job, member)));
    lua_rawseti(L, -2, ++n);
  }
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_job, 3);
  return 1;
}

static int sched_has(lua_State *L)
{
  static const struct uj_callee callee = {"has", 1};
  const struct uj_lsched *sched = check_self(L, callee.name);
  const struct uj_ljob *job = uj_ljob_to(L, 2);
  if (job == NULL)
    return uj_arg_typeerror(L, &callee, 2, UJ_JOB_TYPE);
  lua_pushboolean(L, job->core.sched == &sched->core && !job->core.shielded &&
                         !uj_job_ended(&job->core));
  return 1;
}

static int sched_call_exception_handler(lua_State *L)
{
  static const struct uj_callee callee = {"call_exception_handler", 1};
  uj_state(L);
  check_self(L, callee.name);
  if (!lua_istable(L, 2))
    uj_arg_typeerror(L, &callee, 2, "table");
  uj_report(L, 1, 2);
  return 0;
}

static int sched_tostring(lua_State *L)
{
  const struct uj_lsched *sched = check_self(L, "tostring");
  uint64_t live = live_jobs(&sched->core);
  lua_pushliteral(L, UJ_SCHED_TYPE ": ");
  if (lua_getiuservalue(L, 1, UJ_SCHED_UV_NAME) == LUA_TSTRING)
    lua_pushfstring(L, "\"%s\" ", lua_tostring(L, -1));
  else
    lua_pushliteral(L, "");
  lua_remove(L, -2);
  if (sched->core.closed && live == 0)
    lua_pushliteral(L, "closed");
  else
    lua_pushfstring(L, "%I %s", (LUAI_UACINT)live, live == 1 ? "job" : "jobs");
  lua_concat(L, 3);
  return 1;
}

/* ---- properties -------------------------------------------------------- */

static void push_limit(lua_State *L, uint64_t limit)
{
  if (limit == UJ_UNLIMITED)
    lua_pushnumber(L, HUGE_VAL);
  else
    lua_pushinteger(L, (lua_Integer)limit);
}

static void push_seconds(lua_State *L, uint64_t span_ns)
{
  lua_pushnumber(L, span_ns == UJ_NEVER ? HUGE_VAL : (lua_Number)span_ns / 1e9);
}

static bool push_property(lua_State *L, const void *object, const char *key)
{
  const struct uj_sched *core = &((const struct uj_lsched *)object)->core;
  if (strcmp(key, "limit") == 0)
    push_limit(L, core->limit);
  else if (strcmp(key, "pending_limit") == 0)
    push_limit(L, core->pending_limit);
  else if (strcmp(key, "close_timeout") == 0)
    push_seconds(L, core->close_ns);
  else if (strcmp(key, "wait_timeout") == 0)
    push_seconds(L, core->wait_ns);
  else if (strcmp(key, "timeslice") == 0)
    push_seconds(L, core->slice_ns);
  else if (strcmp(key, "name") == 0)
    lua_getiuservalue(L, 1, UJ_SCHED_UV_NAME);
  else if (strcmp(key, "closed") == 0)
    lua_pushboolean(L, core->closed);
  else if (strcmp(key, "active_count") == 0)
    lua_pushinteger(L, (lua_Integer)core->nactive);
  else if (strcmp(key, "pending_count") == 0)
    lua_pushinteger(L, (lua_Integer)core->npending);
  else if (strcmp(key, "exception_handler") == 0)
    lua_getiuservalue(L, 1, UJ_SCHED_UV_HANDLER);
  else
    return false;
  return true;
}

static int sched_newindex(lua_State *L)
{
  check_self(L, "newindex");
  return luaL_error(L, "cannot set '%s' of a " UJ_SCHED_TYPE " (read only)",
                    luaL_tolstring(L, 2, NULL));
}

void uj_lsched_register(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"spawn", sched_spawn},
      {"try_spawn", sched_try_spawn},
      {"shield", sched_shield},
      {"wait_and_close", sched_wait_and_close},
      {"close", sched_close},
      {"jobs", sched_jobs},
      {"has", sched_has},
      {"call_exception_handler", sched_call_exception_handler},
      {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__len", sched_len},
                                  {"__tostring", sched_tostring},
                                  {"__newindex", sched_newindex},
                                  {"__gc", sched_gc},
                                  {NULL, NULL}};
  static const struct uj_type type = {.tag = sched_tag,
                                      .methods = methods,
                                      .meta = meta,
                                      .property = push_property,
                                      .counts_lookups = true};
  uj_object_register(L, &type);
}
