/* Others run on top of a job that is busy where it cannot be preempted: in a
 * function that a C function has called, such as table.sort. */
#ifndef UJ_LUA_ENGINE_COVER_H
#define UJ_LUA_ENGINE_COVER_H

#include <lua.h>
#include <stdbool.h>

#include "lua/state/state.h"

/* [-0, +0, m] */
void uj_cover_init(struct uj_state *S, lua_State *L);
void uj_cover_register(struct uj_state *S, lua_State *L);

/* [-0, +0, -] For the hook of the current job, which runs in L: lets the others
 * run until the job would have its turn if it had been preempted. The caller
 * must not do anything after that. Returns false, and nothing has happened, if
 * that is not possible here:
 *   - in a finalizer, because no garbage is collected before it returns;
 *   - in a chunk that require() loads, because another job that requires the
 *     same module would load it a second time;
 *   - where the others would have less than UJ_COVER_LEVELS levels of C calls;
 *   - without memory. */
bool uj_cover_go_round(struct uj_state *S, lua_State *L);

/* Lua ends a coroutine by an error when calls of C functions, metamethods and
 * coroutines are nested more than 200 deep (LUAI_MAXCCALLS). So many of those
 * levels are left to each job that runs on top of others. */
enum { UJ_COVER_LEVELS = 100 };

#endif
