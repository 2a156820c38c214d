/* uvjobs.run(): the main job, and the loop that runs beside it. */
#ifndef UJ_LUA_RUN_H
#define UJ_LUA_RUN_H

#include <lua.h>

#include "lua/state/state.h"

/* uvjobs.run([opts,] fn, ...) */
int uj_run_run(lua_State *L);

#endif
