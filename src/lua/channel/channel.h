/* What Lua sees of a channel: `uvjobs.Channel`. */
#ifndef UJ_LUA_CHANNEL_CHANNEL_H
#define UJ_LUA_CHANNEL_CHANNEL_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "lua/state/state.h"

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_lchannel_register(lua_State *L);

/* [-0, +0, m] Notes that the channel at idx is watched; returns false when that
 * is no channel. */
bool uj_lchannel_watch(struct uj_state *S, lua_State *L, int idx);

/* uvjobs.channel([capacity [, options]]) */
extern const luaL_Reg uj_lchannel_functions[];

#endif
