/* What an ended job leaves behind: its results or its error. */
#ifndef UJ_LUA_OUTCOME_H
#define UJ_LUA_OUTCOME_H

#include <lua.h>

/* [-0, +n, m] Pushes the results of the ended job at idx and returns their
 * number; or raises its error. */
int uj_outcome_push_results(lua_State *L, int idx);

/* [-0, +1, m] Pushes the error of the job at idx, which has ended without
 * results. */
void uj_outcome_push_error(lua_State *L, int idx);

#endif
