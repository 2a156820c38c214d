#include "lua/channel/handle.h"

#include <lauxlib.h>
#include <limits.h>

#include "lua/channel/hear.h"

/* Where the registry has a table with weak values: of each channel its
 * userdata, by its address. */
static const char channels_key;

/* ---- making -------------------------------------------------------------- */

/* [-0, +1, m] Pushes a userdata of `size` bytes which has nothing yet. */
static struct uj_share *push_empty(lua_State *L, size_t size, const char *tag)
{
  struct uj_share *share = lua_newuserdatauv(L, size, 0);
  uj_object_init_counted(&share->object, tag);
  share->shared = NULL;
  share->from = 0;
  share->size = 0;
  return share;
}

/* [-0, +1, m] (light userdata of a channel) */
static int make_channel(lua_State *L)
{
  struct uj_shared *shared = lua_touserdata(L, 1);
  struct uj_lchannel *self;
  self = (struct uj_lchannel *)push_empty(L, sizeof(*self), uj_channel_tag);
  self->watch = NULL;
  luaL_setmetatable(L, UJ_CHANNEL_TYPE);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &channels_key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, shared);
  lua_pop(L, 1);
  uj_channel_hold(uj_channel_of(shared));
  uj_state_registered(L)->channels->nhandles++;
  self->share.shared = shared;
  return 1;
}

/* [-0, +1, m] Pushes the userdata that the channel has here, if any. */
static bool push_known(lua_State *L, const struct uj_shared *shared)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &channels_key);
  lua_rawgetp(L, -1, shared);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1))
    return true;
  lua_pop(L, 1);
  return false;
}

static void push_channel(lua_State *L, struct uj_shared *shared)
{
  if (push_known(L, shared))
    return;
  lua_pushcfunction(L, make_channel);
  lua_pushlightuserdata(L, shared);
  lua_call(L, 1, 1);
}

/* Memory that Lua does not see would not make it collect: so it is told how
 * much would be free then, as if it had allocated that itself. */
void uj_handle_press(lua_State *L, size_t size)
{
  enum { KB = 1024 };
  if (size < KB || lua_gc(L, LUA_GCISRUNNING) != 1)
    return;
#if LUA_VERSION_NUM >= 505
  lua_gc(L, LUA_GCSTEP, size);
#else
  lua_gc(L, LUA_GCSTEP,
         (int)(size / KB < INT_MAX / KB ? size / KB : INT_MAX / KB));
#endif
}

static void push_blob(lua_State *L, struct uj_shared *shared, size_t from,
                      size_t size)
{
  struct uj_share *self;
  self = push_empty(L, sizeof(*self), uj_blob_tag);
  luaL_setmetatable(L, UJ_BLOB_TYPE);
  self->shared = uj_shared_take(shared);
  self->from = from;
  self->size = size;
}

/* (light userdata of a carried) */
static int make(lua_State *L)
{
  const struct uj_carried *carried = lua_touserdata(L, 1);
  if (uj_channel_is(carried->shared))
    push_channel(L, carried->shared);
  else
    push_blob(L, carried->shared, carried->from, carried->size);
  return 1;
}

/* [-0, +1, m] As make(), for the only reference, which is dropped. */
static void push_and_drop(lua_State *L, struct uj_shared *shared, size_t from,
                          size_t size)
{
  struct uj_carried carried = {.shared = shared, .from = from, .size = size};
  int status;
  lua_pushcfunction(L, make);
  lua_pushlightuserdata(L, &carried);
  status = lua_pcall(L, 1, 1, 0);
  uj_shared_drop(shared);
  if (status != LUA_OK)
    lua_error(L);
}

/* (light userdata of a carried): makes what has come from another state. */
static int receive(lua_State *L)
{
  const struct uj_carried *carried = lua_touserdata(L, 1);
  uj_handle_press(L, carried->size); /* 0 for a channel */
  return make(L);
}

void uj_handle_push_channel(lua_State *L, struct uj_channel *channel)
{
  push_and_drop(L, uj_channel_shared(channel), 0, 0);
}

void uj_handle_push_blob(lua_State *L, struct uj_shared *blob, size_t from,
                         size_t size)
{
  push_and_drop(L, blob, from, size);
}

/* ---- the end ------------------------------------------------------------- */

/* A job that waits for the channel has it on its stack, and leaves it before
 * that is gone. */
int uj_handle_gc(lua_State *L)
{
  struct uj_share *share = lua_touserdata(L, 1);
  struct uj_shared *shared = share->shared;
  if (shared == NULL)
    return 0;
  if (!uj_channel_is(shared)) {
    share->shared = NULL;
    uj_shared_drop(shared);
    return 0;
  }
  uj_channels_unwatch(L, (struct uj_lchannel *)share);
  uj_state_registered(L)->channels->nhandles--;
  share->shared = NULL;
  uj_channel_let_go(uj_channel_of(shared));
  return 0;
}

void uj_handle_register(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_pushvalue(L, -1);
  lua_setmetatable(L, -2); /* it is its own metatable */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &channels_key);
  lua_pushcfunction(L, receive);
  uj_share_set_maker(L);
}
