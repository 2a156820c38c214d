#include "lua/base/share.h"

#include <lauxlib.h>

const char uj_channel_tag[] = UJ_CHANNEL_TYPE;
const char uj_blob_tag[] = UJ_BLOB_TYPE;

/* The registry has the maker at the address of this. */
static const char maker_key;

const struct uj_share *uj_share_to(lua_State *L, int idx)
{
  const struct uj_share *share = uj_object_to(L, idx, uj_channel_tag);
  if (share == NULL)
    share = uj_object_to(L, idx, uj_blob_tag);
  return share == NULL || share->shared == NULL ? NULL : share;
}

void uj_share_set_maker(lua_State *L)
{
  lua_rawsetp(L, LUA_REGISTRYINDEX, &maker_key);
}

static void load_uvjobs(lua_State *L)
{
  lua_getglobal(L, "require");
  lua_pushliteral(L, "uvjobs");
  lua_call(L, 1, 0);
}

void uj_share_push(lua_State *L, const struct uj_carried *carried)
{
  union {
    const struct uj_carried *carried;
    void *address; /* casts const away: it is only read */
  } to = {carried};
  luaL_checkstack(L, LUA_MINSTACK, "too many values to copy");
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &maker_key) == LUA_TNIL) {
    lua_pop(L, 1);
    load_uvjobs(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &maker_key);
  }
  lua_pushlightuserdata(L, to.address);
  lua_call(L, 1, 1);
}
