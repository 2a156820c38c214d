#include "lua/repeating/repeating.h"

#include <math.h>
#include <string.h>

#include "core/end.h"
#include "lua/api/date.h"
#include "lua/api/making.h"
#include "lua/api/spawn.h"
#include "lua/base/args.h"
#include "lua/base/object.h"
#include "lua/base/seconds.h"
#include "lua/base/text.h"
#include "lua/engine/alarms.h"
#include "lua/engine/outside.h"
#include "lua/engine/report.h"
#include "lua/engine/suspend.h"
#include "lua/schedule/schedule.h"
#include "lua/state/error.h"
#include "lua/state/sched.h"

#define REPEATING_TYPE "uvjobs.Repeating"

static const char repeating_tag[] = REPEATING_TYPE;

/* More never passes, and makes no sums that are not exact. */
#define JITTER_MAX_S 1e10

/* The user values of a Repeating. */
enum {
  UV_SCHEDULE = 1,
  UV_SCHED,
  UV_FUNCTION,
  UV_NAME, /* of its occurrences, or nil */
  UV_KEY,  /* of its occurrences, or nil */
  UV_COUNT = UV_KEY
};

struct lrepeating {
  struct uj_object object;
  struct uj_repeat core;
  struct uj_lsched *sched;
  const struct uj_schedule *schedule; /* kept by a user value */
  struct uj_waitq waiters;            /* jobs that wait until it is over */
  struct uj_ljob *latest; /* the occurrence that was started last, while it
                             lives; or NULL */
  uint64_t timeout_ns;    /* of an occurrence */
  unsigned priority;      /* of an occurrence */
  bool is_begun;          /* `core` has been set up */
};

/* The reasons for which a time does not run, for people. */
static const char *const reasons[] = {
    [UJ_OCCURRED_STARTED] = "started",  [UJ_OCCURRED_WAITS] = "waits",
    [UJ_OCCURRED_OVERLAPS] = "overlap", [UJ_OCCURRED_FULL] = "full",
    [UJ_OCCURRED_MISSED] = "missed",    [UJ_OCCURRED_CLOSED] = "closed"};

static struct lrepeating *of_core(struct uj_repeat *core)
{
  return uj_container(core, struct lrepeating, core);
}

static struct uj_lrepeats *all_of(struct uj_state *S)
{
  return uj_container(S->repeats, struct uj_lrepeats, core);
}

static struct uj_state *state_of(const struct lrepeating *self)
{
  return uj_state_of(self->sched->core.loop);
}

/* [-0, +1, -] Pushes a repetition that is kept. */
static void push_kept(struct uj_state *S, lua_State *L,
                      const struct lrepeating *self)
{
  uj_hub_push(S->hub, L, all_of(S)->kept);
  lua_rawgetp(L, -1, self);
  lua_remove(L, -2);
}

/* ---- what the core asks for ---------------------------------------------- */

static struct uj_state *state_of_all(struct uj_repeats *repeats)
{
  return uj_container(repeats, struct uj_lrepeats, core)->S;
}

static double host_date(struct uj_repeats *repeats)
{
  return uj_date_to_seconds(uj_date_now(state_of_all(repeats)));
}

static void host_set_alarm(struct uj_repeats *repeats, double date_s)
{
  struct uj_state *S = state_of_all(repeats);
  uint64_t due_ns = UJ_NEVER;
  if (date_s != INFINITY)
    due_ns = uj_date_due(S, date_s > 0 ? uj_date_from_seconds(date_s) : 0);
  uj_alarms_set(S, UJ_ALARM_REPEATING, due_ns);
  uj_date_watch(S);
}

/* An occurrence that is being made. */
struct making {
  struct lrepeating *self;
  double time_s, late_s;
  int status;
};

/* [-0, +1, m] Pushes what the function gets. */
static void push_occurrence(lua_State *L, const struct making *making,
                            int repeating)
{
  lua_createtable(L, 0, 3);
  lua_pushnumber(L, making->time_s);
  lua_setfield(L, -2, "time");
  lua_pushnumber(L, making->late_s);
  lua_setfield(L, -2, "late");
  lua_pushvalue(L, repeating);
  lua_setfield(L, -2, "repeating");
}

/* (making) */
static int make_occurrence(lua_State *L)
{
  enum { AT_MAKING = 1, AT_SELF, AT_SCHED, AT_KEY };
  struct making *making = lua_touserdata(L, AT_MAKING);
  struct lrepeating *self = making->self;
  struct uj_rank_options rank = {.priority = self->priority};
  struct uj_state *S = state_of(self);
  struct uj_ljob *job;
  push_kept(S, L, self);
  lua_getiuservalue(L, AT_SELF, UV_SCHED);
  if (lua_getiuservalue(L, AT_SELF, UV_KEY) != LUA_TNIL)
    rank.key = AT_KEY;
  lua_getiuservalue(L, AT_SELF, UV_FUNCTION);
  push_occurrence(L, making, AT_SELF);
  lua_pushvalue(L, AT_SELF);
  job = uj_make_occurrence(S, L, AT_SCHED);
  job->core.deadline_ns = self->timeout_ns;
  if (lua_getiuservalue(L, AT_SELF, UV_NAME) == LUA_TNIL)
    lua_pop(L, 1);
  else
    uj_ljob_set_extra(L, -2, "name");
  making->status = uj_spawn_keep_and_admit(S, L, AT_SCHED, job, &rank);
  if (making->status == UJ_OK)
    self->latest = job;
  return 0;
}

static enum uj_occurred host_start(struct uj_repeat *repeat, double time_s,
                                   double late_s)
{
  struct lrepeating *self = of_core(repeat);
  lua_State *L = all_of(state_of(self))->L;
  struct making making = {self, time_s, late_s, UJ_EFULL};
  if (self->sched->core.closed)
    return UJ_OCCURRED_CLOSED;
  if (uj_sched_room(&self->sched->core) == UJ_EFULL)
    return UJ_OCCURRED_FULL;
  lua_pushcfunction(L, make_occurrence);
  lua_pushlightuserdata(L, &making);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    uj_text_write_error("%s\n", "no memory for an occurrence");
    lua_pop(L, 1);
    return UJ_OCCURRED_FULL;
  }
  if (making.status == UJ_OK)
    return UJ_OCCURRED_STARTED;
  return making.status == UJ_ECLOSED ? UJ_OCCURRED_CLOSED : UJ_OCCURRED_FULL;
}

static void host_cancel(struct uj_repeat *repeat)
{
  struct lrepeating *self = of_core(repeat);
  if (self->latest != NULL)
    uj_job_close(&self->latest->core, self->sched->core.close_ns);
}

/* A time that is dropped. */
struct dropping {
  struct lrepeating *self;
  enum uj_occurred why;
  double time_s;
};

/* (dropping) */
static int report_dropped(lua_State *L)
{
  enum { AT_DROPPING = 1, AT_SELF, AT_SCHED, AT_CONTEXT };
  const struct dropping *dropping = lua_touserdata(L, AT_DROPPING);
  push_kept(state_of(dropping->self), L, dropping->self);
  lua_getiuservalue(L, AT_SELF, UV_SCHED);
  lua_createtable(L, 0, 4);
  lua_pushliteral(L, "Occurrence skipped");
  lua_setfield(L, AT_CONTEXT, "message");
  lua_pushvalue(L, AT_SELF);
  lua_setfield(L, AT_CONTEXT, "repeating");
  lua_pushstring(L, reasons[dropping->why]);
  lua_setfield(L, AT_CONTEXT, "reason");
  lua_pushnumber(L, dropping->time_s);
  lua_setfield(L, AT_CONTEXT, "time");
  uj_report(L, AT_SCHED, AT_CONTEXT);
  return 0;
}

static void host_dropped(struct uj_repeat *repeat, enum uj_occurred why,
                         double time_s)
{
  struct dropping dropping = {of_core(repeat), why, time_s};
  struct uj_state *S = state_of(dropping.self);
  lua_State *L = all_of(S)->L;
  lua_pushcfunction(L, report_dropped);
  lua_pushlightuserdata(L, &dropping);
  if (uj_outside_pcall(S, L, 1) == LUA_OK)
    return;
  uj_text_write_error("%s\n", "no memory for the report of an occurrence");
  lua_pop(L, 1);
}

static void host_over(struct uj_repeat *repeat)
{
  struct lrepeating *self = of_core(repeat);
  struct uj_state *S = state_of(self);
  uj_waitq_wake_all(&self->waiters);
  uj_hub_push(S->hub, S->hub, all_of(S)->kept);
  lua_pushnil(S->hub);
  lua_rawsetp(S->hub, -2, self); /* it is there: so this needs no memory */
  lua_pop(S->hub, 1);
}

static const struct uj_schedule *host_schedule(struct uj_repeat *repeat)
{
  return uj_lschedule_now(of_core(repeat)->schedule);
}

static const struct uj_repeat_host repeat_host = {
    .date = host_date,
    .set_alarm = host_set_alarm,
    .schedule = host_schedule,
    .start = host_start,
    .cancel = host_cancel,
    .dropped = host_dropped,
    .over = host_over,
};

void uj_repeating_init(struct uj_state *S, lua_State *L)
{
  struct uj_lrepeats *all = all_of(S);
  uj_repeats_init(&all->core, &repeat_host, S->random);
  all->S = S;
  lua_newtable(L);
  all->kept = uj_hub_keep(S->hub, L);
}

void uj_repeating_ring(struct uj_state *S)
{
  all_of(S)->L = S->L;
  uj_repeats_ring(S->repeats);
  all_of(S)->L = NULL;
}

void uj_repeating_ended(struct uj_state *S, const struct uj_ljob *job)
{
  struct lrepeating *self;
  uj_ljob_push(S, S->hub, job);
  uj_make_push_repetition(S->hub, -1);
  self = lua_touserdata(S->hub, -1);
  lua_pop(S->hub, 2);
  if (self->latest == job)
    self->latest = NULL;
  uj_repeat_ended(&self->core, job->core.state == UJ_JOB_FAILED ||
                                   job->core.state == UJ_JOB_KILLED);
}

/* ---- making one ---------------------------------------------------------- */

/* The number in a field of the options, or what it is without one. */
static lua_Number number_field(lua_State *L, int idx, const char *field,
                               lua_Number otherwise)
{
  lua_Number number;
  lua_getfield(L, idx, field);
  number = luaL_optnumber(L, -1, otherwise);
  lua_pop(L, 1);
  return number;
}

/* The number of the word among those that are known. */
static int word_field(lua_State *L, int idx, const char *field,
                      const char *otherwise, const char *const *words)
{
  int word;
  lua_getfield(L, idx, field);
  word = luaL_checkoption(L, -1, otherwise, words);
  lua_pop(L, 1);
  return word;
}

static struct uj_repeat_rules read_rules(lua_State *L, int idx)
{
  static const char *const overlaps[] = {"skip",   "one",   "all",
                                         "cancel", "allow", NULL};
  static const char *const misfires[] = {"skip", "latest", "all", NULL};
  static const char *const on_errors[] = {"continue", "pause", NULL};
  return (struct uj_repeat_rules){
      .overlap =
          (enum uj_overlap)word_field(L, idx, "overlap", "skip", overlaps),
      .misfire =
          (enum uj_misfire)word_field(L, idx, "misfire", "latest", misfires),
      .misfire_limit = (uint32_t)number_field(L, idx, "misfire_limit", 100),
      .misfire_grace_s = number_field(L, idx, "misfire_grace", INFINITY),
      .jitter_s = fmin(number_field(L, idx, "jitter", 0), JITTER_MAX_S),
      .pauses_on_error =
          word_field(L, idx, "on_error", "continue", on_errors) == 1};
}

/* [-0, +1, m] Pushes a Repeating that is not begun. Stack: scheduler, schedule,
 * function, options. */
static struct lrepeating *push_new(lua_State *L)
{
  struct lrepeating *self = lua_newuserdatauv(L, sizeof(*self), UV_COUNT);
  memset(self, 0, sizeof(*self));
  self->object.tag = repeating_tag;
  uj_waitq_init(&self->waiters);
  luaL_setmetatable(L, REPEATING_TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_SCHED);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, UV_SCHEDULE);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, UV_FUNCTION);
  lua_getfield(L, 4, "name");
  lua_setiuservalue(L, -2, UV_NAME);
  lua_getfield(L, 4, "key");
  lua_setiuservalue(L, -2, UV_KEY);
  return self;
}

/* [-0, +0, m] Keeps the Repeating on the top until it is over. */
static void keep(struct uj_state *S, lua_State *L, struct lrepeating *self)
{
  uj_hub_push(S->hub, L, all_of(S)->kept);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, self);
  lua_pop(L, 1);
}

/* A single time that has passed is missed, and so the rules say whether it
 * runs. Of all others only those to come count. */
static double since(struct uj_state *S, const struct uj_schedule *schedule)
{
  return schedule->kind == UJ_SCHEDULE_AT ? -INFINITY : host_date(S->repeats);
}

/* Whether the options ask for what only a scheduler with an order has. */
static bool is_ranked(lua_State *L, int idx)
{
  bool has_key = lua_getfield(L, idx, "key") != LUA_TNIL;
  lua_pop(L, 1);
  return has_key ||
         number_field(L, idx, "priority", UJ_LEVEL_DEFAULT) != UJ_LEVEL_DEFAULT;
}

static int l_repeating(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, "repeating");
  const struct uj_schedule *schedule = uj_lschedule_to(L, 2);
  struct uj_repeat_rules rules = read_rules(L, 4);
  uint64_t timeout_ns =
      uj_seconds_to_ns(number_field(L, 4, "timeout", INFINITY));
  struct lrepeating *self;
  luaL_argexpected(L, schedule != NULL, 2, "uvjobs.Schedule");
  self = push_new(L);
  self->sched = sched;
  self->schedule = schedule;
  self->timeout_ns = timeout_ns;
  self->priority = (unsigned)number_field(L, 4, "priority", UJ_LEVEL_DEFAULT);
  if (is_ranked(L, 4))
    uj_lorder_need(L, 1);
  keep(S, L, self);
  if (sched->core.closed) {
    host_over(&self->core);
    lua_pushnil(L);
    return uj_error_raise(L, UJ_CODE_CLOSED);
  }
  self->is_begun = true;
  uj_repeat_start(&self->core, S->repeats, &sched->core, &rules,
                  since(S, schedule));
  return 1;
}

static int repeating_gc(lua_State *L)
{
  struct lrepeating *self = uj_object_to(L, 1, repeating_tag);
  if (self != NULL && self->is_begun)
    uj_repeat_term(&self->core);
  return 0;
}

/* ---- methods ------------------------------------------------------------- */

static struct lrepeating *check_self(lua_State *L, const char *name)
{
  return uj_object_self(L, repeating_tag, name);
}

static int repeating_trigger(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct lrepeating *self = check_self(L, "trigger");
  struct uj_lrepeats *all = all_of(S);
  lua_State *before = all->L;
  enum uj_occurred how;
  all->L = L;
  how = uj_repeat_trigger(&self->core);
  all->L = before;
  if (how == UJ_OCCURRED_STARTED && self->latest != NULL) {
    uj_ljob_push(S, L, self->latest);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, reasons[how]);
  return 2;
}

static int repeating_pause(lua_State *L)
{
  uj_state(L);
  uj_repeat_pause(&check_self(L, "pause")->core);
  return 0;
}

static int repeating_resume(lua_State *L)
{
  uj_state(L);
  uj_repeat_resume(&check_self(L, "resume")->core);
  return 0;
}

static int repeating_stop(lua_State *L)
{
  uj_state(L);
  uj_repeat_close(&check_self(L, "stop")->core);
  return 0;
}

/* Whether a job is an occurrence of the Repeating at index 1. */
static bool is_occurrence(struct uj_state *S, lua_State *L,
                          const struct uj_ljob *job)
{
  bool is_own;
  if (!job->repeats)
    return false;
  uj_ljob_push(S, L, job);
  uj_make_push_repetition(L, -1);
  is_own = lua_touserdata(L, -1) == lua_touserdata(L, 1);
  lua_pop(L, 2);
  return is_own;
}

static int repeating_wait(lua_State *L)
{
  static const struct uj_callee callee = {"wait", 1};
  struct uj_state *S = uj_state(L);
  struct lrepeating *self = check_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  struct uj_ljob *caller = uj_suspend_check(S, L, callee.name);
  if (is_occurrence(S, L, caller))
    return luaL_error(L, "a job cannot wait for its own repetition");
  if (self->core.over && !uj_suspend_needed(caller)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  return uj_suspend(L, caller, &self->waiters, uj_suspend_due(S, span_ns),
                    UJ_LOP_REPEATING, uj_suspend_return_true);
}

static int l_close_occurrences(lua_State *L)
{
  static const struct uj_callee callee = {"close", 1};
  struct uj_state *S = uj_state(L);
  struct lrepeating *self = check_self(L, callee.name);
  struct uj_sched *sched = &self->sched->core;
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, sched->close_ns);
  int n = 0;
  lua_newtable(L);
  for (struct uj_link *link = sched->jobs.next; link != &sched->jobs;
       link = link->next) {
    struct uj_ljob *job = uj_ljob_of(uj_container(link, struct uj_job, member));
    if (job == S->current || !is_occurrence(S, L, job))
      continue;
    uj_ljob_push(S, L, job);
    lua_rawseti(L, -2, ++n);
  }
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, -1, i);
    uj_job_close(&uj_ljob_at(L, -1)->core,
                 S->current != NULL ? uj_job_grace(&S->current->core, span_ns)
                                    : span_ns);
    lua_pop(L, 1);
  }
  return 1;
}

/* ---- properties ---------------------------------------------------------- */

static void push_count(lua_State *L, uint64_t count)
{
  lua_pushinteger(L, (lua_Integer)count);
}

/* [-0, +1, -] Pushes a time, or nil for none. */
static void push_time(lua_State *L, double time_s)
{
  if (isinf(time_s))
    lua_pushnil(L);
  else
    lua_pushnumber(L, time_s);
}

static bool push_property(lua_State *L, const void *object, const char *key)
{
  const struct uj_repeat *core = &((const struct lrepeating *)object)->core;
  if (strcmp(key, "next") == 0)
    push_time(L, core->closed || core->paused ? INFINITY : core->next_s);
  else if (strcmp(key, "last") == 0)
    push_time(L, core->ran_s);
  else if (strcmp(key, "runs") == 0)
    push_count(L, core->runs);
  else if (strcmp(key, "missed") == 0)
    push_count(L, core->missed);
  else if (strcmp(key, "skipped") == 0)
    push_count(L, core->skipped);
  else if (strcmp(key, "running") == 0)
    push_count(L, core->running);
  else if (strcmp(key, "waiting") == 0)
    push_count(L, core->nwaiting);
  else if (strcmp(key, "paused") == 0)
    lua_pushboolean(L, core->paused);
  else if (strcmp(key, "closed") == 0)
    lua_pushboolean(L, core->closed);
  else if (strcmp(key, "name") == 0)
    lua_getiuservalue(L, 1, UV_NAME);
  else if (strcmp(key, "schedule") == 0)
    lua_getiuservalue(L, 1, UV_SCHEDULE);
  else if (strcmp(key, "scheduler") == 0)
    lua_getiuservalue(L, 1, UV_SCHED);
  else
    return false;
  return true;
}

static int repeating_newindex(lua_State *L)
{
  check_self(L, "newindex");
  return luaL_error(L, "cannot set '%s' of a " REPEATING_TYPE " (read only)",
                    luaL_tolstring(L, 2, NULL));
}

static int repeating_tostring(lua_State *L)
{
  const struct lrepeating *self = check_self(L, "tostring");
  const char *name, *state = "";
  lua_getiuservalue(L, 1, UV_NAME);
  name = lua_tostring(L, -1);
  if (self->core.closed)
    state = ", closed";
  else if (self->core.paused)
    state = ", paused";
  lua_pushfstring(L, REPEATING_TYPE ": %s%s%s%I %s%s", name != NULL ? "\"" : "",
                  name != NULL ? name : "", name != NULL ? "\" " : "",
                  (LUAI_UACINT)self->core.runs,
                  self->core.runs == 1 ? "run" : "runs", state);
  return 1;
}

void uj_repeating_register(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"trigger", repeating_trigger}, {"pause", repeating_pause},
      {"resume", repeating_resume},   {"stop", repeating_stop},
      {"wait", repeating_wait},       {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", repeating_tostring},
                                  {"__newindex", repeating_newindex},
                                  {"__gc", repeating_gc},
                                  {NULL, NULL}};
  static const struct uj_type type = {.tag = repeating_tag,
                                      .methods = methods,
                                      .meta = meta,
                                      .property = push_property};
  uj_object_register(L, &type);
}

const luaL_Reg uj_repeating_internals[] = {
    {"repeating", l_repeating},
    {"close_occurrences", l_close_occurrences},
    {NULL, NULL}};
