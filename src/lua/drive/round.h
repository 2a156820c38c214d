/* A round of the loop on top of a job that is busy in the middle of a C
 * function (engine/cover.h), whoever drives the loop. */
#ifndef UJ_LUA_DRIVE_ROUND_H
#define UJ_LUA_DRIVE_ROUND_H

#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* For struct uj_covers. */
void uj_drive_go_round(struct uj_state *S, lua_State *L, struct uj_ljob *job);

#endif
