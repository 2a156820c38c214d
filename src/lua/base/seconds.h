/* Seconds of Lua programs and nanoseconds of ours. */
#ifndef UJ_LUA_SECONDS_H
#define UJ_LUA_SECONDS_H

#include <lua.h>
#include <math.h>
#include <stdint.h>

#include "core/clock.h"

#define UJ_NS_PER_S 1e9

/* A duration, rounded up so that nothing comes early. `seconds` is >= 0; what
 * is too long to be counted is UJ_NEVER. */
static inline uint64_t uj_seconds_to_ns(lua_Number seconds)
{
  lua_Number ns = ceil(seconds * UJ_NS_PER_S);
  return ns >= (lua_Number)INT64_MAX ? UJ_NEVER : (uint64_t)ns;
}

static inline lua_Number uj_seconds_from_ns(uint64_t ns)
{
  return (lua_Number)ns / UJ_NS_PER_S;
}

/* [-0, +1, -] Pushes a duration; UJ_NEVER is math.huge. */
static inline void uj_seconds_push(lua_State *L, uint64_t ns)
{
  lua_pushnumber(L, ns == UJ_NEVER ? HUGE_VAL : uj_seconds_from_ns(ns));
}

#endif
