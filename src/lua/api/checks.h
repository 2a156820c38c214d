/* Checks of arguments in Lua code, with the messages of those in C. */
#ifndef UJ_LUA_CHECKS_H
#define UJ_LUA_CHECKS_H

#include <lauxlib.h>

/* check_timeout(value, n, name, level): raises unless the value is nil or a
 * duration. It is argument #n of the function `name`; the message blames the
 * caller at that level, as error() does.
 *
 * typename(value): its type as messages call it.
 *
 * nearest(key, options): the key of the table that is most like the key. */
extern const luaL_Reg uj_checks_internals[];

#endif
