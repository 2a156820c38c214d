/* uvjobs.coroutine: coroutines of a job that can suspend the job itself. */
#ifndef UJ_LUA_COROUTINE_H
#define UJ_LUA_COROUTINE_H

#include <lua.h>

#include "lua/job.h"
#include "lua/state.h"

/* The coroutine in which a parked job waits: its own, or one that it resumed.
 * [-0, +0, -] */
lua_State *uj_coroutine_parked(struct uj_state *S, const struct uj_ljob *job);

/* [-0, +1, m] Pushes the table of the module uvjobs.coroutine; the state is at
 * index `state`. */
void uj_coroutine_open(lua_State *L, int state);

#endif
