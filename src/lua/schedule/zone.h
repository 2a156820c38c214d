/* The Lua side of a time zone: userdata `uvjobs.Zone`, for uvjobs/schedule.lua.
 *
 * One that stands in a file looks once a minute whether the file has changed:
 * so a new edition of the rules holds from then on. */
#ifndef UJ_LUA_SCHEDULE_ZONE_H
#define UJ_LUA_SCHEDULE_ZONE_H

#include <lauxlib.h>
#include <lua.h>

#include "calendar/zonefile.h"
#include "lua/base/object.h"

struct uj_lzone {
  struct uj_object object;
  struct uj_zonefile file;
  uint64_t looked_s; /* when the file was looked at last */
  char path[];       /* "" for a zone of no file */
};

/* [-0, +0, m] Registers the metatable. */
void uj_lzone_register(lua_State *L);

/* The zone at idx, or NULL. */
struct uj_lzone *uj_lzone_to(lua_State *L, int idx);

/* What holds in the zone now. Valid until the next call for the same zone. */
const struct uj_zone *uj_lzone_rules(struct uj_lzone *zone);

/* zone_open, zone_utc, zone_span, zone_resolve */
extern const luaL_Reg uj_lzone_internals[];

#endif
