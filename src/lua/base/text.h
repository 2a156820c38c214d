/* Texts for people: of values, and where the last ones go. */
#ifndef UJ_LUA_TEXT_H
#define UJ_LUA_TEXT_H

#include <lua.h>

/* [-0, +1, m] Pushes the text of the value at idx, as tostring() makes it, and
 * returns it. A metamethod __tostring may fail: then the text is `instead`, in
 * which %s is the name of the value's type. */
const char *uj_text_push(lua_State *L, int idx, const char *instead);

/* Writes to standard error at once, as printf(): lua_writestringerror(), which
 * Lua 5.5 does not have any more. */
void uj_text_write_error(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif
