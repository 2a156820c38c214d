/* The module uvjobs.store.sqlite: SQLite and what else the store in a file
 * needs of C. The store itself is lua/uvjobs/durable/sqlite. */
#include <lauxlib.h>
#include <lua.h>

#include "store/sqlite/database.h"
#include "store/sqlite/system.h"

__attribute__((visibility("default"))) int
luaopen_uvjobs_store_sqlite(lua_State *L);

int luaopen_uvjobs_store_sqlite(lua_State *L)
{
  luaL_checkversion(L);
  uj_database_register(L);
  uj_system_register(L);
  lua_newtable(L);
  luaL_setfuncs(L, uj_database_functions, 0);
  luaL_setfuncs(L, uj_system_functions, 0);
  return 1;
}
