/* Where a job stands, for people. */
#ifndef UJ_LUA_TRACEBACK_H
#define UJ_LUA_TRACEBACK_H

#include <lua.h>

/* [-0, +1, m] Pushes a line on the state of the job at idx and what it waits
 * for, and below it the job's Lua stack. */
void uj_traceback_push(lua_State *L, int idx);

#endif
