/* The error that nothing can swallow. */
#ifndef UJ_LUA_KILL_H
#define UJ_LUA_KILL_H

#include <lua.h>

#include "lua/job.h"
#include "lua/state.h"

/* [-0, +0, -] Makes the job's coroutine, when it is resumed, fail with `killed`
 * again and again, until no function of the job is left. Its to-be-closed
 * variables and message handlers run undisturbed. */
void uj_kill_arm(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, -] Ends that. */
void uj_kill_disarm(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, m] Raises `killed` about the current job. */
int uj_kill_raise(struct uj_state *S, lua_State *L);

#endif
