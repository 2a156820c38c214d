/* Errors that are raised in a debug hook. While a hook runs, Lua calls no
 * other: so nothing could interrupt the message handler that such an error may
 * meet. */
#ifndef UJ_LUA_HOOKERROR_H
#define UJ_LUA_HOOKERROR_H

#include <lua.h>

#include "lua/state/state.h"

/* Raises the error on the top, for which this is not the first time if `again`:
 * then no message handler is called. */
int uj_hookerror_raise(struct uj_state *S, lua_State *L, bool again);

/* [-0, +0, m] Finds Lua's own pcall and xpcall. */
void uj_hookerror_register(struct uj_state *S, lua_State *L);

#endif
