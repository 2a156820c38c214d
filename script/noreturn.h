/* For checkers, included before every source: these functions of Lua never
 * return. Lua's header does not say so. (_GNU_SOURCE stands before the first
 * header because src/memory asks the C library for more than standard C.) */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <lauxlib.h>
#include <lua.h>

__attribute__((noreturn)) int lua_error(lua_State *L);
__attribute__((noreturn)) int luaL_error(lua_State *L, const char *fmt, ...);
__attribute__((noreturn)) int luaL_argerror(lua_State *L, int arg,
                                            const char *message);
__attribute__((noreturn)) int luaL_typeerror(lua_State *L, int arg,
                                             const char *name);
