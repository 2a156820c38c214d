/* The Lua side of a schedule: userdata `uvjobs.Schedule`. What is policy, and
 * what is for people, is in lua/uvjobs/schedule.lua. */
#ifndef UJ_LUA_SCHEDULE_SCHEDULE_H
#define UJ_LUA_SCHEDULE_SCHEDULE_H

#include <lauxlib.h>
#include <lua.h>

#include "calendar/schedule.h"

/* The schedule at idx with the rules of its zones as they are now; NULL for
 * another value. Valid until Lua runs. */
const struct uj_schedule *uj_lschedule_to(lua_State *L, int idx);

/* The same for such a schedule, which somebody keeps. */
const struct uj_schedule *uj_lschedule_now(const struct uj_schedule *schedule);

/* open_schedule(methods): adds `next` and `previous` to the table, and makes it
 * the methods of schedules. Returns a table of functions for
 * uvjobs/schedule.lua, and the metatable of schedules. */
extern const luaL_Reg uj_lschedule_internals[];

#endif
