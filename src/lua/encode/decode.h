/* Reads JSON as RFC 8259 has it. See encode.h. */
#ifndef UJ_LUA_DECODE_H
#define UJ_LUA_DECODE_H

#include <lua.h>

/* decode(text) */
int uj_decode(lua_State *L);

#endif
