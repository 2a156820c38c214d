/* The module uvjobs.store.postgres: libpq, without blocking. The store itself
 * is lua/uvjobs/durable/postgres. */
#include <lauxlib.h>
#include <lua.h>

#include "store/postgres/connection.h"
#include "store/postgres/system.h"

__attribute__((visibility("default"))) int
luaopen_uvjobs_store_postgres(lua_State *L);

int luaopen_uvjobs_store_postgres(lua_State *L)
{
  luaL_checkversion(L);
  uj_connection_register(L);
  lua_newtable(L);
  luaL_setfuncs(L, uj_connection_functions, 0);
  luaL_setfuncs(L, uj_postgres_system_functions, 0);
  return 1;
}
