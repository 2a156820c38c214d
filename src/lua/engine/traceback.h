/* Where a job stands, for people. */
#ifndef UJ_LUA_TRACEBACK_H
#define UJ_LUA_TRACEBACK_H

#include <lua.h>

/* [-0, +1, m] Pushes a line on the state of the job at idx and what it waits
 * for, and below it the job's Lua stack. */
void uj_traceback_push(lua_State *L, int idx);

/* [-0, +1, m] Pushes the same of all jobs of the list at idx and, in debug
 * mode, where they were spawned, with an empty line between two of them. */
void uj_traceback_push_list(lua_State *L, int idx);

#endif
