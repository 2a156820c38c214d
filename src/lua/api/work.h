/* Functions in other threads: uvjobs.work(fn, ...). */
#ifndef UJ_LUA_WORK_H
#define UJ_LUA_WORK_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/state/state.h"

struct uj_workers;

struct uj_work {
  struct uj_workers *workers; /* NULL until the first call */
  uint32_t waiting;           /* jobs that wait for the result of a call */
};

extern const luaL_Reg uj_work_functions[];

/* Wakes the jobs whose functions have ended. */
void uj_work_wake_ended(struct uj_state *S);

/* The number of functions that are queued or run. */
uint64_t uj_work_count(const struct uj_state *S);

/* The Lua state is closing: stops all functions, and waits until they have
 * ended. */
void uj_work_end(struct uj_state *S);

/* [-0, +0, m] Registers the metatable; the state is on the top. */
void uj_work_register(lua_State *L);

#endif
