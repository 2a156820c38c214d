/* What run() says when it would wait for ever, or for nothing but the limits of
 * waits. */
#ifndef UJ_LUA_STUCK_H
#define UJ_LUA_STUCK_H

#include <lua.h>

#include "lua/state/state.h"

/* [-0, +1, -] Pushes a message that lists every suspended job, in all threads
 * of workers, with its traceback and, in debug mode, where it was spawned; or
 * the error "not enough memory". */
void uj_stuck_push_error(struct uj_state *S, lua_State *L);

/* [-0, +0, -] What a loop of a crew adds to that message: a text about the jobs
 * of its thread, in memory of malloc(); or NULL when it has none, or no memory.
 */
char *uj_stuck_text(struct uj_state *S, lua_State *L);

/* [-0, +0, -] No job is ready, and no I/O can wake one. Where only the limits
 * of waits for a scheduler can, the handlers of those schedulers are told, once
 * for each wait. */
void uj_stuck_report(struct uj_state *S, lua_State *L);

#endif
