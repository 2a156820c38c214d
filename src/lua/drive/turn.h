/* A turn of the loop, whoever drives it: run() or the host of step(). */
#ifndef UJ_LUA_TURN_H
#define UJ_LUA_TURN_H

#include <lua.h>

#include "lua/state/state.h"

/* [-0, +0, -] Takes a turn of the loop, and then gives back the memory that a
 * burst of jobs took. */
void uj_drive_turn(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Moves the jobs that live together and gives back the room that is
 * left, when that is much. It may fail for lack of memory: then all stays as it
 * is. */
void uj_drive_trim(struct uj_state *S, lua_State *L);

#endif
