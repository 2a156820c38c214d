/* What Lua sees of a blob: `uvjobs.Blob`. */
#ifndef UJ_LUA_CHANNEL_BLOB_H
#define UJ_LUA_CHANNEL_BLOB_H

#include <lauxlib.h>
#include <lua.h>

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_lblob_register(lua_State *L);

/* uvjobs.blob(string) */
extern const luaL_Reg uj_lblob_functions[];

#endif
