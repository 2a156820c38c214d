/* scheduler:wait_idle(): waits until a scheduler has nothing to do, and leaves
 * it open. */
#ifndef UJ_LUA_IDLE_H
#define UJ_LUA_IDLE_H

#include <lua.h>

int uj_idle_wait(lua_State *L);

#endif
