/* For uvjobs.select(), which is written in Lua: a watch of several sources. */
#ifndef UJ_LUA_SELECT_H
#define UJ_LUA_SELECT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* [-0, +1, m] Registers the metatable of watches and pushes the table of their
 * methods; the state is on the top. */
void uj_select_register(lua_State *L);

/* [-0, +(0|1), -] If the value at idx is a watch, pushes the list of its
 * sources and returns true. */
bool uj_select_push_sources(lua_State *L, int idx);

/* watch(sources [, timeout]): a watch of a list of queues, events and jobs,
 * which nobody else may change. Its wait() suspends until something has come to
 * one of them since the last wait(): it returns the index of the first one that
 * was woken; or nil when the time is over, which runs from the call of watch().
 * To be closed. */
extern const luaL_Reg uj_select_internals[];

#endif
