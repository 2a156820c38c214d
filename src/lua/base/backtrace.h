/* Tracebacks, as luaL_traceback() makes them, in a quarter of its time.
 *
 * That searches all modules for the name of each function on the stack, anew
 * each time. Here the functions of all modules are in an index, which is made
 * again now and then. So a function that was put into a module since is called
 * what the code that called it called it. */
#ifndef UJ_LUA_BASE_BACKTRACE_H
#define UJ_LUA_BASE_BACKTRACE_H

#include <lua.h>

/* [-0, +0, m] Makes room for the index in the registry. */
void uj_backtrace_register(lua_State *L);

/* [-0, +1, m] Pushes `text`, if it is not NULL, and below it the stack of `co`
 * from this level on. */
void uj_backtrace_push(lua_State *L, lua_State *co, const char *text,
                       int level);

#endif
