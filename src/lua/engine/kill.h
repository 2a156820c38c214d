/* The error that nothing can swallow: `killed` is raised again wherever a pcall
 * has caught it, by a hook that sees every instruction of the job. */
#ifndef UJ_LUA_ENGINE_KILL_H
#define UJ_LUA_ENGINE_KILL_H

#include <lua.h>

#include "lua/state/state.h"

/* The hook; see uj_hook_set_kill(). */
void uj_kill_hook(lua_State *L, lua_Debug *ar);

/* Kills the current job in the middle of its work, from a hook on L, where it
 * is; does not return. (A job that waits is killed by host.c: its suspended
 * call raises.) */
void uj_kill_running(struct uj_state *S, lua_State *L);

#endif
