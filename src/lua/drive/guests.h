/* The guests are the loops of other libraries, luv's and cqueues', that run
 * along with ours. What they do is done between two turns, without waiting; to
 * wait for all at once is the matter of our driver. */
#ifndef UJ_LUA_GUESTS_H
#define UJ_LUA_GUESTS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/state/state.h"

/* [-0, +0, -] Looks which guests are there: to be called before the others,
 * once between two turns. */
void uj_guests_find(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Runs what is ready in them. An error that comes out of a guest
 * belongs to no job: it is kept for run() or step() to raise. */
void uj_guests_run(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Runs again those in which the driver has seen something since. */
void uj_guests_run_seen(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Whether any of them has something to wait for. */
bool uj_guests_alive(struct uj_state *S, lua_State *L);

/* [-0, +0, -] When the first of them must run again at the latest, or UJ_NEVER;
 * it goes by what uj_guests_alive() has found. *fd is luv's descriptor, or -1.
 */
uint64_t uj_guests_due(struct uj_state *S, lua_State *L, int *fd);

/* [-0, +0, -] Tells them what time it is. */
void uj_guests_update_time(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Runs them a last time, as nobody may do it again: luv frees the
 * handles that were closed last, because luv 1.44 touches freed memory when the
 * Lua state closes before that. */
void uj_guests_finish(struct uj_state *S, lua_State *L);

#endif
