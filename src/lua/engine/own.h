/* The library's own sources in Lua. A job is not interrupted between two
 * instructions of them: so nothing is lost between taking a permit, say, and
 * making it a to-be-closed variable. */
#ifndef UJ_LUA_ENGINE_OWN_H
#define UJ_LUA_ENGINE_OWN_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "lua/state/state.h"

enum { UJ_OWN_SOURCES = 32 };

struct uj_own {
  const char *sources[UJ_OWN_SOURCES]; /* kept by the registry; or NULL */
};

/* Whether this is one of them. */
bool uj_own_has(const struct uj_state *S, const char *source);

/* [-0, +0, -] Whether the function that `ar` is about comes from one of them.
 */
bool uj_own_calls(const struct uj_state *S, lua_State *L, lua_Debug *ar);

/* own_source(): adds the source of the calling function. */
extern const luaL_Reg uj_own_internals[];

#endif
