#include "lua/api/date.h"

#include <math.h>

#include "core/job.h"
#include "crew/turns.h"
#include "loop/datewatch.h"
#include "loop/driver.h"
#include "lua/base/seconds.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"
#include "repeat/repeat.h"

#define NS_PER_S UINT64_C(1000000000)

/* Of a wait that is longer than this, the last thousandth is waited for by
 * itself. So a clock that is being adjusted, by at most 500 ppm, makes nobody
 * late. */
#define LONG_NS (10 * NS_PER_S)
enum { LAST_PART = 1024 };

/* How long a wait is cut where nobody tells of steps. */
#define UNTOLD_NS (60 * NS_PER_S)

/* Less is no step: the process was stopped between two readings. */
#define STEP_NS UINT64_C(1000000)

#define LATEST_S 7258204800.0 /* 2200-01-01, and a day */

/* ---- dates and seconds --------------------------------------------------- */

bool uj_date_is_good(lua_Number time_s)
{
  return time_s >= 0 && time_s <= LATEST_S;
}

/* Whole seconds and the rest are converted separately, because a double cannot
 * hold the nanoseconds since 1970. */
uint64_t uj_date_from_seconds(lua_Number time_s)
{
  lua_Number whole_s = floor(time_s);
  return (uint64_t)whole_s * NS_PER_S +
         (uint64_t)ceil((time_s - whole_s) * UJ_NS_PER_S);
}

lua_Number uj_date_to_seconds(uint64_t date_ns)
{
  uint64_t whole_s = date_ns / NS_PER_S;
  return (lua_Number)whole_s + (lua_Number)(date_ns % NS_PER_S) / UJ_NS_PER_S;
}

/* ---- the clock ----------------------------------------------------------- */

void uj_date_init(struct uj_state *S)
{
  uj_waitq_init(&S->date->sleepers);
}

uint64_t uj_date_now(struct uj_state *S)
{
  int64_t base_ns = S->date->base_ns;
  uint64_t behind_ns;
  if (!S->is_virtual)
    return uj_datewatch_now();
  if (base_ns >= 0)
    return uj_clock_add((uint64_t)base_ns, S->virtual_ns);
  behind_ns = UINT64_C(0) - (uint64_t)base_ns;
  return S->virtual_ns > behind_ns ? S->virtual_ns - behind_ns : 0;
}

void uj_date_begin_virtual(struct uj_state *S, uint64_t date_ns)
{
  S->date->base_ns = (int64_t)(date_ns - S->virtual_ns);
}

static uint64_t leg(const struct uj_state *S, uint64_t span_ns)
{
  if (S->is_virtual)
    return span_ns;
  if (!S->date->is_told)
    span_ns = uj_clock_min(span_ns, UNTOLD_NS);
  return span_ns > LONG_NS ? span_ns - span_ns / LAST_PART : span_ns;
}

uint64_t uj_date_due(struct uj_state *S, uint64_t date_ns)
{
  uint64_t now_ns = uj_date_now(S);
  uint64_t span_ns = date_ns > now_ns ? date_ns - now_ns : 0;
  return uj_clock_add(uj_loop_now(&S->loop), leg(S, span_ns));
}

/* ---- steps --------------------------------------------------------------- */

static uint64_t gap(void)
{
  return uj_datewatch_now() - uj_driver_now();
}

void uj_date_watch(struct uj_state *S)
{
  struct uj_date *date = S->date;
  bool wanted = !S->is_virtual && (!uj_waitq_empty(&date->sleepers) ||
                                   uj_repeats_wait(S->repeats));
  if (wanted == date->is_watched || S->driver == NULL)
    return;
  date->is_watched = wanted;
  if (wanted) {
    date->gap_ns = gap();
    date->is_told = uj_datewatch_start(uj_driver_datewatch(S->driver));
  } else
    uj_datewatch_stop(uj_driver_datewatch(S->driver));
}

/* All that waits for a date has to look at it anew. */
static void step(struct uj_state *S)
{
  uj_waitq_wake_all(&S->date->sleepers);
  uj_repeats_set_alarm(S->repeats);
}

void uj_date_look_now(struct uj_state *S)
{
  uint64_t now_ns = gap(), by_ns = now_ns - S->date->gap_ns;
  S->date->gap_ns = now_ns;
  if (by_ns + STEP_NS > 2 * STEP_NS) /* in either direction */
    step(S);
  uj_date_watch(S);
}

/* ---- functions ----------------------------------------------------------- */

static int l_time(lua_State *L)
{
  lua_pushnumber(L, uj_date_to_seconds(uj_date_now(uj_state(L))));
  return 1;
}

/* Seconds since 1970. */
static lua_Number check_date(lua_State *L, const struct uj_callee *callee,
                             int idx)
{
  if (lua_type(L, idx) != LUA_TNUMBER)
    uj_arg_typeerror(L, callee, idx, "number");
  if (!uj_date_is_good(lua_tonumber(L, idx))) {
    const char *got = uj_arg_push_got(L, idx);
    uj_arg_error(L, callee, idx,
                 lua_pushfstring(L,
                                 "seconds since 1970, up to the year 2199 "
                                 "expected, got %s",
                                 got));
  }
  return lua_tonumber(L, idx);
}

static int sleep_on(lua_State *L, int status, lua_KContext ctx);

/* Stack: time. */
static int sleep_once(struct uj_state *S, lua_State *L, struct uj_ljob *self)
{
  uint64_t date_ns = uj_date_from_seconds(lua_tonumber(L, 1));
  uj_job_park(&self->core, &S->date->sleepers, uj_date_due(S, date_ns),
              UJ_LOP_SLEEP);
  uj_date_watch(S);
  return lua_yieldk(L, 0, 0, sleep_on);
}

static int sleep_on(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  (void)status;
  (void)ctx;
  uj_date_watch(S);
  uj_suspend_result(S, L);
  if (uj_date_now(S) >= uj_date_from_seconds(lua_tonumber(L, 1)))
    return 0;
  return sleep_once(S, L, S->current);
}

static int l_sleep_until(lua_State *L)
{
  static const struct uj_callee callee = {"sleep_until", 0};
  struct uj_state *S = uj_state(L);
  struct uj_ljob *self;
  (void)check_date(L, &callee, 1);
  self = uj_suspend_check(S, L, callee.name);
  lua_settop(L, 1);
  return sleep_once(S, L, self);
}

static int l_set_date(lua_State *L)
{
  static const struct uj_callee callee = {"set_date", 0};
  struct uj_state *S = uj_state(L);
  lua_Number time_s = check_date(L, &callee, 1);
  if (!S->is_virtual)
    return luaL_error(L, "'set_date' needs the virtual clock");
  uj_date_begin_virtual(S, uj_date_from_seconds(time_s));
  if (S->member != NULL && uj_turns_are_taken(S->member))
    uj_turns_set_date(S->member, S->date->base_ns);
  step(S);
  return 0;
}

void uj_date_follow(struct uj_state *S, int64_t base_ns)
{
  if (S->date->base_ns == base_ns)
    return;
  S->date->base_ns = base_ns;
  step(S);
}

const luaL_Reg uj_date_functions[] = {
    {"time", l_time}, {"sleep_until", l_sleep_until}, {NULL, NULL}};

const luaL_Reg uj_date_internals[] = {{"set_date", l_set_date}, {NULL, NULL}};
