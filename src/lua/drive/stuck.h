/* What run() says when it would wait for ever. */
#ifndef UJ_LUA_STUCK_H
#define UJ_LUA_STUCK_H

#include <lua.h>

#include "lua/state/state.h"

/* [-0, +1, -] Pushes a message that lists every suspended job with its
 * traceback and, in debug mode, where it was spawned; or the error "not enough
 * memory". */
void uj_stuck_push_error(struct uj_state *S, lua_State *L);

#endif
