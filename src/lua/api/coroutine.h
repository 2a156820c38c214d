/* uvjobs.coroutine: coroutines of a job that can suspend the job itself. */
#ifndef UJ_LUA_COROUTINE_H
#define UJ_LUA_COROUTINE_H

#include <lua.h>

#include "lua/api/scope.h"
#include "lua/state/job.h"
#include "lua/state/state.h"

/* [-0, +0, -] The coroutine in which a parked job waits: its own, or one that
 * it resumed. */
lua_State *uj_coroutine_parked(struct uj_state *S, const struct uj_ljob *job);

/* [-0, +0, -] A coroutine has left a scope while it was not a part of its job:
 * this is the innermost one now, or NULL. */
void uj_coroutine_set_scope(struct uj_state *S, lua_State *co,
                            struct uj_scope *scope);

/* [-0, +0, -] Closes a job's coroutine that has not ended, and before it those
 * that it waits in. */
void uj_coroutine_close(struct uj_state *S, const struct uj_ljob *job,
                        lua_State *from);

/* [-0, +1, m] Pushes the stacks of a job's coroutine and of those that it waits
 * in, the innermost first, after a text (or NULL). `runs`: L is what runs of
 * it. */
void uj_coroutine_push_traceback(struct uj_state *S, lua_State *L,
                                 const struct uj_ljob *job, bool runs,
                                 const char *text);

/* [-0, +1, m] Pushes the table of the module uvjobs.coroutine; the state is at
 * index `state`. */
void uj_coroutine_register(lua_State *L, int state);

#endif
