/* The error that nothing can swallow. */
#ifndef UJ_LUA_KILL_H
#define UJ_LUA_KILL_H

#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* [-0, +0, -] From now on the current job fails with `killed` again and again,
 * in each of its coroutines that runs, until no function of it is left. Its
 * to-be-closed variables and message handlers run undisturbed. */
void uj_kill_begin(struct uj_state *S);

/* [-0, +0, -] Ends that. */
void uj_kill_end(struct uj_state *S);

/* [-0, +0, -] For a coroutine of it that is about to run. */
void uj_kill_set_hook(lua_State *co);

/* Does that to a job in the middle of its work; does not return. */
void uj_kill_running(struct uj_state *S, lua_State *L);

/* A coroutine is resumed by the job that is being killed; and has come back.
 * What it is called by may be spared, and it is then, too, as long. */
int uj_kill_go_in(struct uj_state *S);
void uj_kill_come_out(struct uj_state *S, int depth);

/* [-0, +0, m] Raises `killed` about the current job. */
int uj_kill_raise(struct uj_state *S, lua_State *L);

#endif
