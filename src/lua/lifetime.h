/* The birth and death of uvjobs in a Lua state. It is the one file that knows
 * every part: it makes what they need, and ends them in the right order when
 * the Lua state closes. */
#ifndef UJ_LUA_LIFETIME_H
#define UJ_LUA_LIFETIME_H

#include <lua.h>

/* [-0, +1, m] Pushes the state, which is made the first time. The module may be
 * loaded several times in a Lua state: all of them share it. */
void uj_lifetime_push_state(lua_State *L);

#endif
