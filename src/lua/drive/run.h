/* uvjobs.run(): the main job, and the loop that runs beside it. */
#ifndef UJ_LUA_RUN_H
#define UJ_LUA_RUN_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/state/state.h"

/* When run() polls I/O: see run.c. */
struct uj_pace {
  uint64_t polled_ns;   /* when it did so last */
  uint64_t clock_ns;    /* the time when it read the clock last */
  uint64_t clock_ticks; /* and uj_driver_ticks() then */
  uint64_t still_ns;    /* the virtual time at which it polled last */
  uint64_t still_turns; /* uj_loop::turns when it first did so at that time */
  uint64_t restless_turns; /* how many later the virtual clock jumps, although
                              jobs are ready */
};

/* Once in the life of a state. */
void uj_run_init(struct uj_state *S);

extern const luaL_Reg uj_run_functions[];

/* For the command and uvjobs.uv: catch_sigpipe(), see signals.h; flush(),
 * is_interactive() and has_descriptors(n), see standard.h.
 *
 * For our own specs: restless_turns(n) sets uj_pace::restless_turns for this
 * and all later runs, and returns what it was. */
extern const luaL_Reg uj_run_internals[];

#endif
