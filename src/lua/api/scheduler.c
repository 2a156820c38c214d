#include "lua/api/scheduler.h"

#include <stdbool.h>
#include <string.h>

#include "core/admit.h"
#include "core/sched.h"
#include "lua/api/closing.h"
#include "lua/api/idle.h"
#include "lua/api/order.h"
#include "lua/api/spawn.h"
#include "lua/api/totals.h"
#include "lua/base/args.h"
#include "lua/base/options.h"
#include "lua/base/seconds.h"
#include "lua/engine/interrupt.h"
#include "lua/engine/report.h"
#include "lua/measure/series.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"

/* ---- making one ---------------------------------------------------------- */

/* The stack while a scheduler is made. */
enum { AT_OPTIONS = 1, AT_SCHED };

/* What the options say. */
struct making {
  struct uj_lsched *sched;
  struct uj_order_options order;
};

static struct uj_lsched *sched_of(void *into)
{
  return ((struct making *)into)->sched;
}

static void take_limit(lua_State *L, const struct uj_options_table *options,
                       void *into)
{
  uj_sched_set_limit(&sched_of(into)->core, uj_option_count(L, options, 1));
}

static void take_pending_limit(lua_State *L,
                               const struct uj_options_table *options,
                               void *into)
{
  uj_sched_set_pending_limit(&sched_of(into)->core,
                             uj_option_count(L, options, 0));
}

static void take_close_timeout(lua_State *L,
                               const struct uj_options_table *options,
                               void *into)
{
  sched_of(into)->core.close_ns = uj_option_seconds(L, options);
}

static void take_wait_timeout(lua_State *L,
                              const struct uj_options_table *options,
                              void *into)
{
  sched_of(into)->core.wait_ns = uj_option_seconds(L, options);
}

static void take_timeslice(lua_State *L, const struct uj_options_table *options,
                           void *into)
{
  sched_of(into)->core.slice_ns = uj_option_slice(L, options);
}

/* [-0, +0, -] Keeps the option's value, which is on the top, as a user value of
 * the scheduler. */
static void keep_value(lua_State *L, int user_value)
{
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, AT_SCHED, user_value);
}

static void take_name(lua_State *L, const struct uj_options_table *options,
                      void *into)
{
  (void)into;
  if (lua_type(L, -1) != LUA_TSTRING)
    uj_option_error(L, options, "string");
  keep_value(L, UJ_SCHED_UV_NAME);
}

static void take_handler(lua_State *L, const struct uj_options_table *options,
                         void *into)
{
  (void)into;
  if (!lua_isfunction(L, -1))
    uj_option_error(L, options, "function");
  keep_value(L, UJ_SCHED_UV_HANDLER);
}

static void take_on_error(lua_State *L, const struct uj_options_table *options,
                          void *into)
{
  const char *value = uj_option_word(L);
  bool cancel = strcmp(value, "cancel") == 0;
  if (!cancel && strcmp(value, "report") != 0)
    uj_option_error(L, options, "'report' or 'cancel'");
  sched_of(into)->core.nursery = cancel;
}

static void take_announced(lua_State *L, const struct uj_options_table *options,
                           enum uj_announced what)
{
  if (!lua_isfunction(L, -1))
    uj_option_error(L, options, "function");
  lua_pushvalue(L, -1);
  uj_lsched_set_announced(L, AT_SCHED, what);
}

static void take_on_start(lua_State *L, const struct uj_options_table *options,
                          void *into)
{
  (void)into;
  take_announced(L, options, UJ_ANNOUNCED_START);
}

static void take_on_end(lua_State *L, const struct uj_options_table *options,
                        void *into)
{
  (void)into;
  take_announced(L, options, UJ_ANNOUNCED_END);
}

static void take_stats(lua_State *L, const struct uj_options_table *options,
                       void *into)
{
  sched_of(into)->core.timed = uj_option_boolean(L, options);
}

static void take_aging(lua_State *L, const struct uj_options_table *options,
                       void *into)
{
  uj_lorder_take_aging(L, options, &((struct making *)into)->order);
}

static void take_fair(lua_State *L, const struct uj_options_table *options,
                      void *into)
{
  uj_lorder_take_fair(L, options, &((struct making *)into)->order);
}

static void take_key_limit(lua_State *L, const struct uj_options_table *options,
                           void *into)
{
  ((struct making *)into)->order.key_limit = uj_option_count(L, options, 1);
}

static void take_start_rate(lua_State *L,
                            const struct uj_options_table *options, void *into)
{
  uj_lorder_take_rate(L, options, &((struct making *)into)->order);
}

static void take_start_burst(lua_State *L,
                             const struct uj_options_table *options, void *into)
{
  uj_lorder_take_burst(L, options, &((struct making *)into)->order);
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
    {"on_start", take_on_start},
    {"on_end", take_on_end},
    {"stats", take_stats},
    {"aging", take_aging},
    {"fair", take_fair},
    {"key_limit", take_key_limit},
    {"start_rate", take_start_rate},
    {"start_burst", take_start_burst},
    {NULL, NULL},
};

/* [-0, +0, m] Reads the options of the scheduler that is being made. */
static void read_options(lua_State *L, const struct uj_callee *callee,
                         struct uj_lsched *sched)
{
  struct making making = {.sched = sched,
                          .order = {.aging_ns = UJ_NEVER,
                                    .key_limit = UJ_UNLIMITED,
                                    .start_rate = UJ_NO_RATE}};
  uj_options_read(L, callee, AT_OPTIONS, sched_known, &making);
  if (making.order.start_burst != 0 && making.order.start_rate == UJ_NO_RATE)
    uj_arg_error(L, callee, AT_OPTIONS,
                 "option 'start_burst' needs the option 'start_rate'");
  uj_lorder_make(L, AT_SCHED, &making.order);
}

static int l_scheduler(lua_State *L)
{
  static const struct uj_callee callee = {"scheduler", 0};
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched;
  lua_settop(L, AT_OPTIONS);
  if (!lua_isnoneornil(L, AT_OPTIONS) && !lua_istable(L, AT_OPTIONS))
    uj_arg_typeerror(L, &callee, AT_OPTIONS, "table");
  sched = uj_lsched_new(S, L);
  if (S->default_slice_ns != 0)
    sched->core.slice_ns = S->default_slice_ns;
  if (lua_istable(L, AT_OPTIONS))
    read_options(L, &callee, sched);
  uj_interrupt_add_slice(S, sched->core.slice_ns);
  return 1;
}

/* set_default_timeslice(seconds) */
static int l_set_default_timeslice(lua_State *L)
{
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds > 0 && seconds <= 1, 1, "seconds expected");
  uj_state(L)->default_slice_ns = (uint64_t)(seconds * UJ_NS_PER_S);
  return 0;
}

/* A scheduler is collected when no job is left, since jobs refer to it; but a
 * finalizer that runs before this one can have spawned in it. Then it is not
 * collected after all, and this is to be called again. When the Lua state
 * closes there may be jobs, too. They go with the state, which is collected
 * last, and the scheduler has to stay as it is. */
static int sched_gc(lua_State *L)
{
  struct uj_lsched *sched = uj_lsched_to(L, 1);
  struct uj_state *S;
  if (sched == NULL)
    return 0;
  S = uj_state_of(sched->core.loop);
  if (sched->series != NULL)
    uj_series_retire(S, sched);
  if (sched->core.nlive > 0) {
    uj_object_finalize_again(L);
    return 0;
  }
  uj_waitq_close(&sched->core.idle);
  uj_sched_term(&sched->core);
  if (!S->dead)
    uj_record_release(&S->records, &sched->record);
  return 0;
}

/* ---- looking ------------------------------------------------------------- */

static uint64_t live_jobs(const struct uj_sched *sched)
{
  return sched->nactive + sched->npending;
}

static int sched_len(lua_State *L)
{
  const struct uj_lsched *sched = uj_lsched_self(L, "len");
  lua_pushinteger(L, (lua_Integer)live_jobs(&sched->core));
  return 1;
}

/* The iterator of jobs(). Upvalues: the state, the list of jobs, the index of
 * the last one that was returned. */
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
  struct uj_lsched *sched = uj_lsched_self(L, "jobs");
  lua_pushvalue(L, lua_upvalueindex(1));
  uj_lsched_push_jobs(S, L, sched, false);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_job, 3);
  return 1;
}

static int sched_has(lua_State *L)
{
  static const struct uj_callee callee = {"has", 1};
  const struct uj_lsched *sched = uj_lsched_self(L, callee.name);
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
  uj_lsched_self(L, callee.name);
  if (!lua_istable(L, 2))
    uj_arg_typeerror(L, &callee, 2, "table");
  uj_report(L, 1, 2);
  return 0;
}

static int sched_tostring(lua_State *L)
{
  const struct uj_lsched *sched = uj_lsched_self(L, "tostring");
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

/* ---- pausing ------------------------------------------------------------- */

static int sched_pause(lua_State *L)
{
  uj_state(L);
  uj_sched_pause(&uj_lsched_self(L, "pause")->core);
  return 0;
}

static int sched_resume(lua_State *L)
{
  uj_state(L);
  uj_sched_resume(&uj_lsched_self(L, "resume")->core);
  return 0;
}

/* ---- properties ---------------------------------------------------------- */

/* [-0, +(0|1), -] Pushes a property that has another value only if the
 * scheduler has an order. */
static bool push_order_property(lua_State *L, const struct uj_order *order,
                                const char *key)
{
  if (strcmp(key, "aging") == 0)
    uj_seconds_push(L, order != NULL && order->pending.ages != NULL
                           ? order->pending.aging_ns
                           : UJ_NEVER);
  else if (strcmp(key, "fair") == 0)
    lua_pushboolean(L, order != NULL && order->pending.is_fair);
  else if (strcmp(key, "key_limit") == 0)
    uj_arg_push_count(L, order != NULL ? order->key_limit : UJ_UNLIMITED);
  else if (strcmp(key, "start_rate") == 0)
    uj_lorder_push_rate(L, order != NULL ? order->start_rate : UJ_NO_RATE);
  else if (strcmp(key, "start_burst") == 0)
    lua_pushinteger(L, order != NULL ? (lua_Integer)order->start_burst : 1);
  else
    return false;
  return true;
}

static bool push_property(lua_State *L, const void *object, const char *key)
{
  const struct uj_sched *core = &uj_lsched_at(L, 1)->core;
  (void)object;
  if (strcmp(key, "limit") == 0)
    uj_arg_push_count(L, core->limit);
  else if (strcmp(key, "pending_limit") == 0)
    uj_arg_push_count(L, core->pending_limit);
  else if (strcmp(key, "close_timeout") == 0)
    uj_seconds_push(L, core->close_ns);
  else if (strcmp(key, "wait_timeout") == 0)
    uj_seconds_push(L, core->wait_ns);
  else if (strcmp(key, "timeslice") == 0)
    uj_seconds_push(L, core->slice_ns);
  else if (strcmp(key, "name") == 0)
    lua_getiuservalue(L, 1, UJ_SCHED_UV_NAME);
  else if (strcmp(key, "closed") == 0)
    lua_pushboolean(L, core->closed);
  else if (strcmp(key, "paused") == 0)
    lua_pushboolean(L, core->paused);
  else if (strcmp(key, "active_count") == 0)
    lua_pushinteger(L, (lua_Integer)core->nactive);
  else if (strcmp(key, "pending_count") == 0)
    lua_pushinteger(L, (lua_Integer)core->npending);
  else if (strcmp(key, "exception_handler") == 0)
    lua_getiuservalue(L, 1, UJ_SCHED_UV_HANDLER);
  else if (strcmp(key, "on_start") == 0)
    uj_lsched_push_announced(L, 1, UJ_ANNOUNCED_START);
  else if (strcmp(key, "on_end") == 0)
    uj_lsched_push_announced(L, 1, UJ_ANNOUNCED_END);
  else
    return push_order_property(L, core->order, key);
  return true;
}

static int bad_value(lua_State *L, const char *key, const char *expected)
{
  return luaL_error(L, "bad value for '%s' (%s expected, got %s)", key,
                    expected, uj_arg_push_got(L, 3));
}

/* The value at index 3, for the property `key`. */
static uint64_t check_limit(lua_State *L, const char *key, lua_Integer min)
{
  uint64_t limit = 0;
  const char *expected = uj_arg_read_count(L, 3, min, &limit);
  if (expected != NULL)
    bad_value(L, key, expected);
  return limit;
}

static void set_key_limit(lua_State *L, struct uj_sched *sched)
{
  uint64_t limit = check_limit(L, "key_limit", 1);
  uj_lorder_need(L, 1);
  uj_sched_set_key_limit(sched, limit);
}

static void set_start_rate(lua_State *L, struct uj_sched *sched)
{
  double rate = UJ_NO_RATE;
  const char *expected = uj_lorder_read_rate(L, 3, &rate);
  if (expected != NULL)
    bad_value(L, "start_rate", expected);
  uj_lorder_need(L, 1);
  uj_sched_set_rate(sched, rate, sched->order->start_burst);
}

static int sched_newindex(lua_State *L)
{
  struct uj_sched *core = &uj_lsched_self(L, "newindex")->core;
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  uj_state(L);
  if (strcmp(key, "limit") == 0)
    uj_sched_set_limit(core, check_limit(L, key, 1));
  else if (strcmp(key, "pending_limit") == 0)
    uj_sched_set_pending_limit(core, check_limit(L, key, 0));
  else if (strcmp(key, "key_limit") == 0)
    set_key_limit(L, core);
  else if (strcmp(key, "start_rate") == 0)
    set_start_rate(L, core);
  else
    return luaL_error(L,
                      "cannot set '%s' of a " UJ_SCHED_TYPE
                      " (only 'limit', 'pending_limit', 'key_limit' and "
                      "'start_rate' can be set)",
                      luaL_tolstring(L, 2, NULL));
  return 0;
}

void uj_scheduler_register(lua_State *L)
{
  static const char *const properties[] = {"limit",
                                           "pending_limit",
                                           "close_timeout",
                                           "wait_timeout",
                                           "timeslice",
                                           "name",
                                           "closed",
                                           "paused",
                                           "on_start",
                                           "on_end",
                                           "active_count",
                                           "pending_count",
                                           "exception_handler",
                                           "aging",
                                           "fair",
                                           "key_limit",
                                           "start_rate",
                                           "start_burst",
                                           NULL};
  static const luaL_Reg methods[] = {
      {"spawn", uj_spawn_spawn},
      {"try_spawn", uj_spawn_try_spawn},
      {"shield", uj_spawn_shield},
      {"wait_and_close", uj_closing_wait_and_close},
      {"close", uj_closing_close},
      {"wait_idle", uj_idle_wait},
      {"pause", sched_pause},
      {"resume", sched_resume},
      {"stats", uj_totals_stats},
      {"jobs", sched_jobs},
      {"has", sched_has},
      {"call_exception_handler", sched_call_exception_handler},
      {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__len", sched_len},
                                  {"__tostring", sched_tostring},
                                  {"__newindex", sched_newindex},
                                  {"__gc", sched_gc},
                                  {NULL, NULL}};
  static const struct uj_type type = {.tag = uj_sched_tag,
                                      .methods = methods,
                                      .meta = meta,
                                      .property = push_property,
                                      .properties = properties,
                                      .counts_lookups = true};
  uj_object_register(L, &type);
}

const luaL_Reg uj_scheduler_functions[] = {{"scheduler", l_scheduler},
                                           {NULL, NULL}};

const luaL_Reg uj_scheduler_internals[] = {
    {"set_default_timeslice", l_set_default_timeslice}, {NULL, NULL}};
