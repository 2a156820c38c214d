/* What driving the loop takes, whoever does it: run() or the host of step(). */
#ifndef UJ_LUA_TURN_H
#define UJ_LUA_TURN_H

#include <lua.h>

#include "lua/state/state.h"

/* Makes the driver unless there is one. Returns 0, or a negative error of
 * uj_driver_strerror(). */
int uj_drive_open(struct uj_state *S);

/* [-0, +0, -] Takes a turn of the loop, and then gives back the memory that a
 * burst of jobs took. */
void uj_drive_turn(struct uj_state *S, lua_State *L);

/* [-0, +0, -] The main job has ended, so all schedulers are closed, and those
 * that the clean-up of their jobs makes. To be called again before each turn
 * that follows. */
void uj_drive_close_rest(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Gives back what the slots of jobs and coroutines do not use, if
 * it is much. When there is no memory to do that, they stay as they are. */
void uj_drive_trim(struct uj_state *S, lua_State *L);

#endif
