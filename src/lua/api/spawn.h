/* Admitting jobs to a scheduler, for programs. */
#ifndef UJ_LUA_SPAWN_H
#define UJ_LUA_SPAWN_H

#include <lua.h>

#include "lua/api/order.h"
#include "lua/state/job.h"
#include "lua/state/state.h"

/* [-0, +0, m] Keeps a new job, which is on the top, and admits it to its
 * scheduler, which is at `at`. If that is UJ_ECLOSED or UJ_EFULL it lets go of
 * the job. The rank counts if the scheduler has an order. */
int uj_spawn_keep_and_admit(struct uj_state *S, lua_State *L, int at,
                            struct uj_ljob *job,
                            const struct uj_rank_options *rank);

/* Methods of a scheduler: spawn([opts,] fn, ...), try_spawn([opts,] fn, ...)
 * and shield(fn, ...). */
int uj_spawn_spawn(lua_State *L);
int uj_spawn_try_spawn(lua_State *L);
int uj_spawn_shield(lua_State *L);

#endif
