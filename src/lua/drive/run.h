/* uvjobs.run(): the main job, and the loop that runs beside it. */
#ifndef UJ_LUA_RUN_H
#define UJ_LUA_RUN_H

#include <lauxlib.h>
#include <lua.h>

extern const luaL_Reg uj_run_functions[];

/* For the command and uvjobs.uv: catch_sigpipe(), see signals.h; flush(),
 * is_interactive() and has_descriptors(n), see standard.h.
 *
 * For our own specs: restless_turns(n) sets uj_pace::restless_turns for this
 * and all later runs, and returns what it was. */
extern const luaL_Reg uj_run_internals[];

#endif
