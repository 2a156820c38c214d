/* Making jobs and admitting them to a scheduler. */
#ifndef UJ_LUA_SPAWN_H
#define UJ_LUA_SPAWN_H

#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* [-n, +2, m] Replaces the function at `fn` and its arguments, all that is
 * above it, by a new scheduler without a limit and a job of it for them. The
 * job is kept, but not yet admitted. `name` is the calling function. */
struct uj_ljob *uj_spawn_make_main(struct uj_state *S, lua_State *L, int fn,
                                   const char *name);

/* Methods of a scheduler: spawn([opts,] fn, ...), try_spawn([opts,] fn, ...)
 * and shield(fn, ...). */
int uj_spawn_spawn(lua_State *L);
int uj_spawn_try_spawn(lua_State *L);
int uj_spawn_shield(lua_State *L);

#endif
