/* A text that a copy of the process makes, so that the loop goes on meanwhile:
 * see inspect/copy.h. */
#ifndef UJ_LUA_INSIGHT_COPIED_H
#define UJ_LUA_INSIGHT_COPIED_H

#include <lauxlib.h>

/* [-0, +0, m] */
void uj_copied_register(lua_State *L);

/* For lua/uvjobs/insight:
 * copy(fn): makes a copy of the process that calls fn() and keeps the text that
 * it returns. Returns a to-be-closed value, or nothing where no copy is to be
 * made (run{ inspect = false }) or none can be.
 * copied(value): the text; nothing as long as the copy computes; false when it
 * has failed, or its text was returned already. */
extern const luaL_Reg uj_copied_internals[];

#endif
