/* For checkers, included before every source: these functions never return.
 * Their declarations do not say so, because they are called as `return f(...)`
 * too. (Before the first header: what memory.c asks of the C library.) */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <lauxlib.h>
#include <lua.h>

struct uj_callee;
struct uj_options;

__attribute__((noreturn)) int lua_error(lua_State *L);
__attribute__((noreturn)) int luaL_error(lua_State *L, const char *fmt, ...);
__attribute__((noreturn)) int luaL_argerror(lua_State *L, int arg,
                                            const char *message);
__attribute__((noreturn)) int luaL_typeerror(lua_State *L, int arg,
                                             const char *name);
__attribute__((noreturn)) int uj_arg_error(lua_State *L,
                                           const struct uj_callee *callee,
                                           int arg, const char *message);
__attribute__((noreturn)) int uj_arg_typeerror(lua_State *L,
                                               const struct uj_callee *callee,
                                               int arg, const char *expected);
__attribute__((noreturn)) int uj_option_error(lua_State *L,
                                              const struct uj_options *options,
                                              const char *expected);
__attribute__((noreturn)) int uj_arg_selferror(lua_State *L, const char *name,
                                               const char *type);
