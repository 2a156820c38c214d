/* The debug mode: it keeps where jobs were spawned, and reports slow ones. */
#ifndef UJ_LUA_DEBUG_H
#define UJ_LUA_DEBUG_H

#include <lauxlib.h>

extern const luaL_Reg uj_debug_functions[];

/* here(): where this was called from, in debug mode; or nil. */
extern const luaL_Reg uj_debug_internals[];

#endif
