/* luv beside us. Its loop may come from another copy of libuv than ours, so it
 * is driven through luv's own functions and its descriptor, and only when the
 * script has loaded it. */
#ifndef UJ_LUA_LUV_H
#define UJ_LUA_LUV_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/state/state.h"

/* [-0, +0, -] Whether luv is there; the other functions are for when it is. */
bool uj_luv_loaded(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Whether luv has anything to wait for. */
bool uj_luv_alive(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Whether luv's loop runs: it is what called us. */
bool uj_luv_running(struct uj_state *S, lua_State *L);

/* [-0, +(0|1), -] Runs what is ready in luv's loop. Returns LUA_OK, or another
 * status with the error on the top. */
int uj_luv_run(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Tells luv what time it is: its timers count from when it looked
 * at the clock last. */
void uj_luv_update_time(struct uj_state *S, lua_State *L);

/* [-0, +0, -] When luv's loop must run again at the latest (UJ_NEVER: not
 * before its descriptor is readable), and that descriptor. */
uint64_t uj_luv_due(struct uj_state *S, lua_State *L, int *fd);

#endif
