/* Whether a coroutine is leaving blocks: a function of a to-be-closed variable
 * runs in it. */
#ifndef UJ_LUA_UNWIND_H
#define UJ_LUA_UNWIND_H

#include <lua.h>
#include <stdbool.h>

#include "lua/state/state.h"

/* `body` is what jobs run, see host.c. Looks at the innermost 200 calls. */
bool uj_unwind_closes(const struct uj_state *S, lua_State *L);

#endif
