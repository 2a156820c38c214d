#include "lua/schedule/zone.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define ZONE_TYPE "uvjobs.Zone"
#define LOOK_EVERY_S 60

static const char zone_tag[] = ZONE_TYPE;

struct uj_lzone *uj_lzone_to(lua_State *L, int idx)
{
  return uj_object_to(L, idx, zone_tag);
}

/* Seconds of the monotonic clock. */
static uint64_t monotonic_s(void)
{
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec;
}

const struct uj_zone *uj_lzone_rules(struct uj_lzone *zone)
{
  uint64_t now_s;
  if (zone->path[0] == '\0')
    return zone->file.zone;
  now_s = monotonic_s();
  if (now_s - zone->looked_s >= LOOK_EVERY_S) {
    zone->looked_s = now_s;
    uj_zonefile_refresh(&zone->file, zone->path);
  }
  return zone->file.zone;
}

/* [-0, +1, m] Pushes a zone that has no rules yet. */
static struct uj_lzone *push_new(lua_State *L, const char *path)
{
  size_t size = strlen(path) + 1;
  struct uj_lzone *zone = lua_newuserdatauv(L, sizeof(*zone) + size, 0);
  zone->object.tag = zone_tag;
  zone->file.zone = NULL;
  zone->looked_s = monotonic_s();
  memcpy(zone->path, path, size);
  luaL_setmetatable(L, ZONE_TYPE);
  return zone;
}

/* Whether a file could not be opened because it is none. */
static bool is_no_file(int error)
{
  return error == ENOENT || error == ENOTDIR || error == EISDIR ||
         error == EINVAL || error == ELOOP || error == ENAMETOOLONG;
}

/* For Lua: (path) a zone; or nil, and what is wrong with the file when there is
 * one. */
static int l_zone_open(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  struct uj_lzone *zone = push_new(L, path);
  enum uj_zonefile_error error = uj_zonefile_open(&zone->file, path);
  if (error == UJ_ZONEFILE_OK)
    return 1;
  lua_pushnil(L);
  if (error == UJ_ZONEFILE_BROKEN)
    lua_pushliteral(L, "is damaged: it is no TZif file without leap seconds");
  else if (errno == ENOMEM)
    return luaL_error(L, "not enough memory");
  else if (is_no_file(errno))
    return 1;
  else
    lua_pushfstring(L, "cannot be read: %s", strerror(errno));
  return 2;
}

/* For Lua: () the zone UTC, which needs no file. */
static int l_zone_utc(lua_State *L)
{
  struct uj_lzone *zone = push_new(L, "");
  zone->file.zone = uj_zone_new_fixed(0, "UTC");
  if (zone->file.zone == NULL)
    return luaL_error(L, "not enough memory");
  return 1;
}

/* For Lua: (zone, instant) the offset from UTC that holds then, in seconds, and
 * its name. */
static int l_zone_span(lua_State *L)
{
  struct uj_lzone *zone = uj_lzone_to(L, 1);
  int64_t instant_s = (int64_t)luaL_checkinteger(L, 2);
  struct uj_span span;
  if (zone == NULL)
    return luaL_typeerror(L, 1, ZONE_TYPE);
  span = uj_zone_span(uj_lzone_rules(zone), instant_s);
  lua_pushinteger(L, span.offset_s);
  lua_pushstring(L, span.name);
  return 2;
}

/* For Lua: (zone, local time) how many instants it has, and these; in a gap it
 * is none, and then comes the first instant after it. */
static int l_zone_resolve(lua_State *L)
{
  struct uj_lzone *zone = uj_lzone_to(L, 1);
  int64_t local_s = (int64_t)luaL_checkinteger(L, 2);
  struct uj_local local;
  if (zone == NULL)
    return luaL_typeerror(L, 1, ZONE_TYPE);
  local = uj_zone_resolve(uj_lzone_rules(zone), local_s);
  lua_pushinteger(L, (lua_Integer)local.count);
  lua_pushinteger(L, (lua_Integer)local.instant_s[0]);
  lua_pushinteger(L, (lua_Integer)local.instant_s[local.count == 2]);
  return 3;
}

static int zone_gc(lua_State *L)
{
  struct uj_lzone *zone = uj_lzone_to(L, 1);
  if (zone != NULL)
    uj_zonefile_close(&zone->file);
  return 0;
}

void uj_lzone_register(lua_State *L)
{
  luaL_newmetatable(L, ZONE_TYPE);
  lua_pushcfunction(L, zone_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

const luaL_Reg uj_lzone_internals[] = {{"zone_open", l_zone_open},
                                       {"zone_utc", l_zone_utc},
                                       {"zone_span", l_zone_span},
                                       {"zone_resolve", l_zone_resolve},
                                       {NULL, NULL}};
