/* The text of a value, for messages. */
#ifndef UJ_LUA_TEXT_H
#define UJ_LUA_TEXT_H

#include <lua.h>

/* [-0, +1, m] Pushes the text of the value at idx, as tostring() makes it, and
 * returns it. A metamethod __tostring may fail: then the text is `instead`, in
 * which %s is the name of the value's type. */
const char *uj_text_push(lua_State *L, int idx, const char *instead);

#endif
