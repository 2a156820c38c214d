/* Errors that are raised in a debug hook. While a hook runs, Lua calls no
 * other. So nothing could interrupt a message handler that is called for such
 * an error, and it could compute for ever. */
#ifndef UJ_LUA_ENGINE_HOOKERROR_H
#define UJ_LUA_ENGINE_HOOKERROR_H

#include <lua.h>
#include <stdbool.h>

#include "lua/state/state.h"

struct uj_hookerror {
  lua_CFunction pcall; /* Lua's own */
  lua_CFunction xpcall;
  bool raised; /* the next call of the stand-in is for an error of a hook */
};

/* Raises the error on the top, for which this is not the first time if `again`:
 * then no message handler is called. */
int uj_hookerror_raise(struct uj_state *S, lua_State *L, bool again);

/* [-0, +0, m] Finds Lua's own pcall and xpcall. */
void uj_hookerror_register(struct uj_state *S, lua_State *L);

#endif
