#include "lua/schedule/schedule.h"

#include <math.h>
#include <string.h>

#include "calendar/pattern.h"
#include "lua/base/args.h"
#include "lua/base/object.h"
#include "lua/schedule/zone.h"

#define SCHEDULE_TYPE "uvjobs.Schedule"

/* Times beyond these are of no use to anybody, and not exact. */
#define TIME_MAX_S 1e12

static const char schedule_tag[] = SCHEDULE_TYPE;

/* More schedules within each other would take long to ask, and deep ones more
 * stack than there is. */
#define MAX_LEAVES 1000

/* The user values of a schedule. */
enum {
  UV_TEXT = 1,  /* what it was made of, for people; of a CRON its pattern */
  UV_ZONE,      /* of a CRON */
  UV_ZONE_NAME, /* of a CRON */
  UV_PARTS = 2  /* of an ANY or EXCEPT: the first of its parts */
};

struct lschedule {
  struct uj_object object;
  struct uj_schedule core;
  struct uj_lzone *zone;             /* of a CRON: kept by a user value */
  lua_Integer leaves;                /* schedules in it that have no parts, and
                                        those that have a single part: so it is
                                        not deeper than this number */
  const struct uj_schedule *parts[]; /* of an ANY or EXCEPT: each is in an
                                        lschedule that a user value keeps */
};

static struct lschedule *lschedule_of(const struct uj_schedule *core)
{
  union {
    const struct uj_schedule *core;
    char *bytes; /* a schedule that others only read is read anew by its zone */
  } at = {core};
  return (struct lschedule *)(void *)(at.bytes -
                                      offsetof(struct lschedule, core));
}

/* Zones may have been read anew since. */
static void refresh(struct lschedule *schedule)
{
  struct uj_schedule *core = &schedule->core;
  if (core->kind == UJ_SCHEDULE_CRON)
    core->fire.zone = uj_lzone_rules(schedule->zone);
  else if (core->kind >= UJ_SCHEDULE_ANY) {
    for (size_t i = 0; i < core->nparts; i++)
      refresh(lschedule_of(core->parts[i]));
  }
}

const struct uj_schedule *uj_lschedule_to(lua_State *L, int idx)
{
  struct lschedule *schedule = uj_object_to(L, idx, schedule_tag);
  if (schedule == NULL)
    return NULL;
  refresh(schedule);
  return &schedule->core;
}

const struct uj_schedule *uj_lschedule_now(const struct uj_schedule *schedule)
{
  refresh(lschedule_of(schedule));
  return schedule;
}

static const struct uj_schedule *check_self(lua_State *L, const char *name)
{
  struct lschedule *schedule = uj_object_self(L, schedule_tag, name);
  refresh(schedule);
  return &schedule->core;
}

static double check_time(lua_State *L, const struct uj_callee *callee, int idx)
{
  lua_Number time_s;
  if (lua_type(L, idx) != LUA_TNUMBER)
    return uj_arg_typeerror(L, callee, idx, "number");
  time_s = lua_tonumber(L, idx);
  if (!(fabs(time_s) <= TIME_MAX_S))
    return uj_arg_error(L, callee, idx, "seconds since 1970 expected");
  return time_s;
}

/* ---- methods ---------------------------------------------------------------
 */

static int push_found(lua_State *L, bool found, double time_s)
{
  if (found)
    lua_pushnumber(L, time_s);
  else
    lua_pushnil(L);
  return 1;
}

/* schedule:next(time) */
static int schedule_next(lua_State *L)
{
  static const struct uj_callee callee = {"next", 1};
  const struct uj_schedule *schedule = check_self(L, callee.name);
  double found_s = 0;
  bool found = uj_schedule_next(schedule, check_time(L, &callee, 2), &found_s);
  return push_found(L, found, found_s);
}

/* schedule:previous(time) */
static int schedule_previous(lua_State *L)
{
  static const struct uj_callee callee = {"previous", 1};
  const struct uj_schedule *schedule = check_self(L, callee.name);
  double found_s = 0;
  bool found =
      uj_schedule_previous(schedule, check_time(L, &callee, 2), &found_s);
  return push_found(L, found, found_s);
}

/* ---- making them, for Lua, which has checked the arguments ------------------
 */

/* [-0, +1, m] Pushes a new schedule, which keeps so many values; the first one
 * is the text at index `text`. */
static struct lschedule *push_new(lua_State *L, enum uj_schedule_kind kind,
                                  size_t nparts, int nkept, int text)
{
  struct lschedule *schedule =
      lua_newuserdatauv(L, sizeof(*schedule) + nparts * sizeof(void *), nkept);
  memset(schedule, 0, sizeof(*schedule));
  schedule->object.tag = schedule_tag;
  schedule->core.kind = kind;
  schedule->leaves = 1;
  luaL_setmetatable(L, SCHEDULE_TYPE);
  luaL_checktype(L, text, LUA_TSTRING);
  lua_pushvalue(L, text);
  lua_setiuservalue(L, -2, UV_TEXT);
  return schedule;
}

/* (pattern, zone, gap, fold, name of the zone) a schedule; or nil and what is
 * wrong. */
static int l_schedule_cron(lua_State *L)
{
  static const char *const gaps[] = {"run", "skip", NULL};
  static const char *const folds[] = {"first", "second", "both", NULL};
  char message[UJ_CRON_MESSAGE_SIZE];
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  struct lschedule *schedule =
      push_new(L, UJ_SCHEDULE_CRON, 0, UV_ZONE_NAME, 1);
  struct uj_schedule *core = &schedule->core;
  schedule->zone = uj_lzone_to(L, 2);
  luaL_argexpected(L, schedule->zone != NULL, 2, "uvjobs.Zone");
  if (!uj_cron_parse(&core->cron, text, size, message)) {
    lua_pushnil(L);
    lua_pushstring(L, message);
    return 2;
  }
  core->fire.cron = &core->cron;
  core->fire.gap = (enum uj_gap)luaL_checkoption(L, 3, "run", gaps);
  core->fire.fold = (enum uj_fold)luaL_checkoption(L, 4, "first", folds);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, UV_ZONE);
  lua_pushvalue(L, 5);
  lua_setiuservalue(L, -2, UV_ZONE_NAME);
  return 1;
}

/* (period, anchor, text) */
static int l_schedule_every(lua_State *L)
{
  lua_Number period_s = luaL_checknumber(L, 1);
  lua_Number anchor_s = luaL_checknumber(L, 2);
  struct uj_schedule *core =
      &push_new(L, UJ_SCHEDULE_EVERY, 0, UV_TEXT, 3)->core;
  core->period_s = period_s;
  core->anchor_s = anchor_s;
  return 1;
}

/* (time, text) */
static int l_schedule_at(lua_State *L)
{
  lua_Number time_s = luaL_checknumber(L, 1);
  push_new(L, UJ_SCHEDULE_AT, 0, UV_TEXT, 2)->core.time_s = time_s;
  return 1;
}

/* (text, schedule, ...) Makes a schedule of those; or nil when it would have
 * more than MAX_LEAVES in it. */
static int push_of_parts(lua_State *L, enum uj_schedule_kind kind)
{
  int n = lua_gettop(L) - 1;
  struct lschedule *schedule =
      push_new(L, kind, (size_t)n, UV_PARTS - 1 + n, 1);
  schedule->leaves = n == 1;
  for (int i = 0; i < n; i++) {
    struct lschedule *part = uj_object_to(L, i + 2, schedule_tag);
    if (part == NULL)
      return luaL_typeerror(L, i + 2, SCHEDULE_TYPE);
    schedule->leaves += part->leaves;
    schedule->parts[i] = &part->core;
    lua_pushvalue(L, i + 2);
    lua_setiuservalue(L, -2, UV_PARTS + i);
  }
  if (schedule->leaves > MAX_LEAVES)
    return 0;
  schedule->core.parts = schedule->parts;
  schedule->core.nparts = (size_t)n;
  return 1;
}

/* (text, schedule, ...) */
static int l_schedule_any(lua_State *L)
{
  return push_of_parts(L, UJ_SCHEDULE_ANY);
}

/* (text, schedule, schedule) */
static int l_schedule_except(lua_State *L)
{
  return push_of_parts(L, UJ_SCHEDULE_EXCEPT);
}

/* (schedule) its text; and of a CRON its zone, the zone's name, `gap` and
 * `fold`. */
static int l_schedule_origin(lua_State *L)
{
  static const char *const folds[] = {"first", "second", "both"};
  const struct lschedule *schedule = uj_object_to(L, 1, schedule_tag);
  if (schedule == NULL)
    return luaL_typeerror(L, 1, SCHEDULE_TYPE);
  lua_getiuservalue(L, 1, UV_TEXT);
  if (schedule->core.kind != UJ_SCHEDULE_CRON)
    return 1;
  lua_getiuservalue(L, 1, UV_ZONE);
  lua_getiuservalue(L, 1, UV_ZONE_NAME);
  lua_pushstring(L, schedule->core.fire.gap == UJ_GAP_RUN ? "run" : "skip");
  lua_pushstring(L, folds[schedule->core.fire.fold]);
  return 5;
}

/* (schedule, local time) the first local time that is not before it and that
 * the pattern of the schedule matches; or nil. */
static int l_schedule_local(lua_State *L)
{
  const struct uj_schedule *core = uj_lschedule_to(L, 1);
  int64_t local_s;
  luaL_argexpected(L, core != NULL && core->kind == UJ_SCHEDULE_CRON, 1,
                   SCHEDULE_TYPE);
  local_s = uj_cron_at_or_after(&core->cron, (int64_t)luaL_checkinteger(L, 2));
  if (local_s == UJ_CRON_NEVER)
    return 0;
  lua_pushinteger(L, (lua_Integer)local_s);
  return 1;
}

/* (schedule) whether its pattern goes on by elapsed time through gaps and
 * folds. */
static int l_schedule_is_interval(lua_State *L)
{
  const struct uj_schedule *core = uj_lschedule_to(L, 1);
  lua_pushboolean(L, core != NULL && core->kind == UJ_SCHEDULE_CRON &&
                         core->cron.is_interval);
  return 1;
}

static const luaL_Reg internals[] = {{"cron", l_schedule_cron},
                                     {"every", l_schedule_every},
                                     {"at", l_schedule_at},
                                     {"any", l_schedule_any},
                                     {"except", l_schedule_except},
                                     {"origin", l_schedule_origin},
                                     {"local_match", l_schedule_local},
                                     {"is_interval", l_schedule_is_interval},
                                     {NULL, NULL}};

static const luaL_Reg methods[] = {
    {"next", schedule_next}, {"previous", schedule_previous}, {NULL, NULL}};

static int l_open_schedule(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  uj_lzone_register(L);
  luaL_setfuncs(L, methods, 0);
  luaL_newmetatable(L, SCHEDULE_TYPE);
  lua_insert(L, 1);
  lua_setfield(L, 1, "__index");
  luaL_newlib(L, internals);
  luaL_setfuncs(L, uj_lzone_internals, 0);
  lua_insert(L, 1);
  return 2; /* the functions, and the metatable for __tostring and the like */
}

const luaL_Reg uj_lschedule_internals[] = {{"open_schedule", l_open_schedule},
                                           {NULL, NULL}};
