/* uvjobs.run(): the main job, and the loop that runs beside it. */
#ifndef UJ_LUA_RUN_H
#define UJ_LUA_RUN_H

#include <lua.h>

#include "lua/state/state.h"

/* When run() polls I/O: see run.c. */
struct uj_pace {
  uint64_t polled_ns;   /* when it did so last */
  uint64_t clock_ns;    /* the time when it read the clock last */
  uint64_t clock_ticks; /* and uj_driver_ticks() then */
};

/* uvjobs.run([opts,] fn, ...) */
int uj_run_run(lua_State *L);

#endif
