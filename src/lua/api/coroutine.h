/* uvjobs.coroutine: coroutines of a job that can suspend the job itself. */
#ifndef UJ_LUA_COROUTINE_H
#define UJ_LUA_COROUTINE_H

#include <lua.h>

/* [-0, +1, m] Pushes the table of the module uvjobs.coroutine; the state is at
 * index `state`. */
void uj_coroutine_register(lua_State *L, int state);

#endif
