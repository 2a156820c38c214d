/* Whether a coroutine is closing its to-be-closed variables. */
#ifndef UJ_LUA_ENGINE_UNWIND_H
#define UJ_LUA_ENGINE_UNWIND_H

#include <lua.h>
#include <stdbool.h>

#include "lua/state/state.h"

/* Whether a function of a to-be-closed variable runs in it, among its innermost
 * 200 calls. */
bool uj_unwind_closes(const struct uj_state *S, lua_State *L);

#endif
