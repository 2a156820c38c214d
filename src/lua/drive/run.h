/* uvjobs.run(): the main job, and the loop that runs beside it. */
#ifndef UJ_LUA_RUN_H
#define UJ_LUA_RUN_H

#include <lua.h>

#include "lua/state/state.h"

/* Looks whether a signal has come for the main job, between two turns or while
 * a job runs: it is cancelled then. */
void uj_run_take_signal(struct uj_state *S);

/* uvjobs.run([opts,] fn, ...) */
int uj_run_run(lua_State *L);

#endif
