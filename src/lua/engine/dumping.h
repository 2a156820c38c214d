/* A dump of all jobs that a signal has asked for: run()'s option `dump`.
 *
 * It is written by a function of Lua (lua/uvjobs/insight), which this calls
 * between two jobs; or from the hook that interrupts a job, so that a program
 * tells what it does also while a job computes without end. */
#ifndef UJ_LUA_ENGINE_DUMPING_H
#define UJ_LUA_ENGINE_DUMPING_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/state/state.h"

struct uj_dumping {
  int writer; /* the function's place on the hub */
};

/* [-0, +0, m] */
void uj_dumping_init(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Writes a dump if a poll of the driver has seen the signal for it.
 * L is the coroutine of the job that runs, or where the loop runs. */
void uj_dumping_look(struct uj_state *S, lua_State *L);

/* set_dump_writer(fn): fn(job, traceback) is called with the job that runs and
 * where it stands, or without anything between two jobs. uninterrupted(fn). */
extern const luaL_Reg uj_dumping_internals[];

#endif
