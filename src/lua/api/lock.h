/* The Lua side of semaphores and mutexes: userdata `uvjobs.Semaphore` and
 * `uvjobs.Mutex`; and the permits of both, which are to-be-closed. */
#ifndef UJ_LUA_LOCK_H
#define UJ_LUA_LOCK_H

#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

#define UJ_SEMAPHORE_TYPE "uvjobs.Semaphore"
#define UJ_MUTEX_TYPE "uvjobs.Mutex"
#define UJ_PERMIT_TYPE "uvjobs.Permit"

/* uvjobs.semaphore(n), uvjobs.mutex() */
int uj_lock_semaphore(lua_State *L);
int uj_lock_mutex(lua_State *L);

/* [-0, +0, -] Unlocks what an ended job holds; returns how many there were. */
int uj_lock_abandon(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, m] Registers the metatables; the state is on the top. The methods
 * are in the fields Semaphore and Mutex of the table at index `module`. */
void uj_lock_register(lua_State *L, int module);

#endif
