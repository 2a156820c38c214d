/* Waiting, in real time, for what is outside of the loop. */
#ifndef UJ_LUA_DRIVE_OUTSIDE_H
#define UJ_LUA_DRIVE_OUTSIDE_H

#include <lua.h>
#include <stdint.h>

#include "lua/state/state.h"

/* [-0, +0, -] Waits for the guests, other threads, a signal, or the time. */
void uj_outside_wait(struct uj_state *S, lua_State *L, uint64_t due_ns);

/* Under the virtual clock: until when to wait for the outside, if the loop goes
 * on at `due_ns`: for ever, unless the run is to end. */
uint64_t uj_outside_due(const struct uj_state *S, uint64_t due_ns);

/* Sees whether signals have come, under a virtual clock that jumps: it waits
 * for nothing, so that is done only as often as in real time. */
void uj_outside_poll(struct uj_state *S);

#endif
