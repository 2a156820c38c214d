/* Time for the jobs: sleep(), yield(), now() and remaining(). */
#ifndef UJ_LUA_TIME_H
#define UJ_LUA_TIME_H

#include <lauxlib.h>

extern const luaL_Reg uj_time_functions[];

/* clock(): the time in nanoseconds, an integer; and which clock it is of, see
 * uj_state_clock(). */
extern const luaL_Reg uj_time_internals[];

#endif
