/* exit(): ends the run, and then the process. */
#ifndef UJ_LUA_EXIT_H
#define UJ_LUA_EXIT_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/state/state.h"

/* exit([status]) */
extern const luaL_Reg uj_exit_functions[];

/* [-0, +0, v] Ends the process as exit() has asked for, when the run is over.
 * It calls os.exit(), which returns only where that is forbidden: in `work`. */
void uj_exit_leave(struct uj_state *S, lua_State *L);

#endif
