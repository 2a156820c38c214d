#include "lua/channel/letter.h"

#include <lauxlib.h>

#include "lua/base/copy.h"
#include "lua/channel/hear.h"

/* Memory for packing is kept up to this size. */
enum { KEPT_ROOM = 64 * 1024 };

/* ---- writing ------------------------------------------------------------- */

/* What is written is written here first: the memory stays for the next one. A
 * finalizer that runs meanwhile may write, too, and then has its own. */
static struct uj_buffer take_spare(struct uj_state *S)
{
  struct uj_buffer buffer = S->channels->spare;
  S->channels->spare = (struct uj_buffer){0};
  return buffer;
}

static void give_spare(struct uj_state *S, struct uj_buffer *buffer)
{
  uj_buffer_clear(buffer);
  if (S->channels->spare.data != NULL || buffer->room > KEPT_ROOM)
    uj_buffer_free(buffer);
  else
    S->channels->spare = *buffer;
}

struct writing {
  struct uj_buffer buffer;
  size_t limit;
};

/* (writing, value): returns nothing, or why the value cannot be packed. */
static int write(lua_State *L)
{
  struct writing *self = lua_touserdata(L, 1);
  struct uj_packer into;
  uj_pack_begin(L, &into, &self->buffer);
  into.limit = self->limit;
  return uj_pack(L, &into, 2) ? 0 : 1;
}

struct uj_parcel *uj_letter_write(struct uj_state *S, lua_State *L,
                                  const struct uj_callee *callee, int idx,
                                  size_t limit)
{
  struct writing self = {take_spare(S), limit};
  struct uj_buffer *buffer = &self.buffer;
  struct uj_parcel *parcel = NULL;
  int status;
  lua_pushcfunction(L, write);
  lua_pushlightuserdata(L, &self);
  lua_pushvalue(L, idx);
  status = lua_pcall(L, 2, 1, 0);
  if (status == LUA_OK && lua_isnil(L, -1))
    parcel = uj_parcel_new(buffer->data, buffer->size, buffer->carried);
  if (parcel != NULL)
    buffer->carried = UJ_CARRIES_NONE; /* they went over */
  give_spare(S, buffer);
  if (status != LUA_OK)
    lua_error(L);
  if (!lua_isnil(L, -1))
    uj_arg_error(L, callee, idx, lua_tostring(L, -1));
  if (parcel == NULL)
    luaL_error(L, "not enough memory");
  lua_pop(L, 1);
  return parcel;
}

/* ---- reading ------------------------------------------------------------- */

/* (message) */
static int read(lua_State *L)
{
  const struct uj_parcel *parcel = lua_touserdata(L, 1);
  union {
    const char *bytes;
    char *data; /* casts const away: it is only read */
  } to = {parcel->data};
  struct uj_buffer buffer = {.data = to.data, .size = parcel->size};
  struct uj_unpacker from;
  uj_unpack_begin(L, &from, &buffer);
  uj_unpack(L, &from);
  return 1;
}

void uj_letter_read(struct uj_state *S, lua_State *L,
                    struct uj_channel *channel, struct uj_parcel *parcel)
{
  int status;
  lua_pushcfunction(L, read);
  lua_pushlightuserdata(L, parcel);
  status = lua_pcall(L, 1, 1, 0);
  if (status == LUA_OK) {
    uj_parcel_free(parcel);
    return;
  }
  uj_channel_return(channel, parcel);
  uj_channels_hear(S);
  lua_error(L);
}

/* ---- between two owners -------------------------------------------------- */

void uj_letter_hold(struct uj_state *S, struct uj_parcel *parcel)
{
  uj_link_append(&S->channels->unsent, &parcel->link);
}

void uj_letter_release(struct uj_parcel *parcel)
{
  uj_link_remove(&parcel->link);
}
