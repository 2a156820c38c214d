/* uvjobs.run(): the main job, and the loop that runs beside it. */
#ifndef UJ_LUA_RUN_H
#define UJ_LUA_RUN_H

#include <lua.h>

#include "lua/state/state.h"

/* Looks whether a signal has come for the main job, between two turns or while
 * a job runs: it is cancelled then. */
void uj_run_take_signal(struct uj_state *S);

/* [-n, +2, m] Replaces the function at `fn` and its arguments, all that is
 * above it, by a scheduler without a limit and a job for them, which is kept,
 * not yet admitted. `name` is the calling function. */
struct uj_ljob *uj_run_make_main(struct uj_state *S, lua_State *L, int fn,
                                 const char *name);

/* uvjobs.run([opts,] fn, ...) */
int uj_run_run(lua_State *L);

#endif
