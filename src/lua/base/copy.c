#include "lua/base/copy.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/args.h"

/* A packed value is a tag, followed by what the tag says. Numbers are as in
 * memory, because the buffer never leaves the process. */
enum tag {
  TAG_NIL,
  TAG_FALSE,
  TAG_TRUE,
  TAG_INTEGER, /* a lua_Integer */
  TAG_NUMBER,  /* a lua_Number */
  TAG_STRING,  /* a size_t, so many bytes */
  TAG_TABLE,   /* a struct sizes, so many pairs of a key and a value */
  TAG_AGAIN    /* a lua_Integer: the table that has this number */
};

struct sizes {
  size_t integers; /* keys that are integers */
  size_t others;   /* other keys */
};

/* Tables can be nested this deep: packing is recursive, on the stack of C. */
enum { MAX_DEPTH = 200 };

/* Slots of Lua's stack that one level needs. */
enum { LEVEL_SLOTS = 8 };

#define FIRST_ROOM 256

/* ---- the buffer ---------------------------------------------------------- */

void uj_buffer_free(struct uj_buffer *buffer)
{
  free(buffer->data);
  buffer->data = NULL;
  buffer->size = 0;
  buffer->room = 0;
}

/* Returns false when there is no memory. */
static bool reserve(struct uj_buffer *buffer, size_t size)
{
  size_t room = buffer->room == 0 ? FIRST_ROOM : buffer->room;
  char *data;
  if (buffer->room - buffer->size >= size)
    return true;
  if (size > SIZE_MAX / 4 || room > SIZE_MAX / 4)
    return false;
  while (room - buffer->size < size)
    room *= 2;
  data = realloc(buffer->data, room);
  if (data == NULL)
    return false;
  buffer->data = data;
  buffer->room = room;
  return true;
}

static bool append(struct uj_buffer *buffer, const void *bytes, size_t size)
{
  if (!reserve(buffer, size))
    return false;
  if (size > 0)
    memcpy(buffer->data + buffer->size, bytes, size);
  buffer->size += size;
  return true;
}

/* ---- packing ------------------------------------------------------------- */

/* [-0, +0, m] */
static void put(lua_State *L, struct uj_packer *self, const void *bytes,
                size_t size)
{
  if (!append(self->buffer, bytes, size))
    luaL_error(L, "not enough memory");
}

static void put_tagged(lua_State *L, struct uj_packer *self, enum tag tag,
                       const void *bytes, size_t size)
{
  char byte = (char)tag;
  put(L, self, &byte, 1);
  put(L, self, bytes, size);
}

static void pack_number(lua_State *L, struct uj_packer *self, int idx)
{
  lua_Integer integer = lua_tointeger(L, idx);
  lua_Number number = lua_tonumber(L, idx);
  if (lua_isinteger(L, idx))
    put_tagged(L, self, TAG_INTEGER, &integer, sizeof(integer));
  else
    put_tagged(L, self, TAG_NUMBER, &number, sizeof(number));
}

static void pack_string(lua_State *L, struct uj_packer *self, int idx)
{
  size_t size;
  const char *bytes = lua_tolstring(L, idx, &size);
  put_tagged(L, self, TAG_STRING, &size, sizeof(size));
  put(L, self, bytes, size);
}

static bool refuse(lua_State *L, int idx, int depth)
{
  lua_pushfstring(L,
                  "nil, boolean, number, string or table of them expected, "
                  "got %s%s",
                  uj_arg_typename(L, idx), depth > 0 ? " in a table" : "");
  return false;
}

static bool pack_value(lua_State *L, struct uj_packer *self, int idx,
                       int depth);

/* Packs the pairs of the table on the top. Their number, which comes first, is
 * known only at the end. */
static bool pack_pairs(lua_State *L, struct uj_packer *self, int depth)
{
  struct sizes sizes = {0, 0};
  int table = lua_gettop(L), key = table + 1;
  size_t at;
  put_tagged(L, self, TAG_TABLE, &sizes, sizeof(sizes));
  at = self->buffer->size - sizeof(sizes);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    if (lua_isinteger(L, key))
      sizes.integers++;
    else
      sizes.others++;
    if (!pack_value(L, self, key, depth) ||
        !pack_value(L, self, key + 1, depth))
      return false;
    lua_pop(L, 1);
  }
  memcpy(self->buffer->data + at, &sizes, sizeof(sizes));
  return true;
}

static bool pack_table(lua_State *L, struct uj_packer *self, int idx, int depth)
{
  bool packed;
  luaL_checkstack(L, LEVEL_SLOTS, "too many values to copy");
  lua_pushvalue(L, idx);
  if (lua_rawget(L, self->seen) == LUA_TNUMBER) {
    lua_Integer number = lua_tointeger(L, -1);
    put_tagged(L, self, TAG_AGAIN, &number, sizeof(number));
    lua_pop(L, 1);
    return true;
  }
  lua_pop(L, 1);
  if (depth == MAX_DEPTH) {
    lua_pushfstring(L, "tables nested more than %d deep", MAX_DEPTH);
    return false;
  }
  lua_pushvalue(L, idx);
  lua_pushinteger(L, ++self->ntables);
  lua_rawset(L, self->seen);
  lua_pushvalue(L, idx);
  packed = pack_pairs(L, self, depth + 1);
  if (packed)
    lua_pop(L, 1);
  return packed;
}

static bool pack_value(lua_State *L, struct uj_packer *self, int idx, int depth)
{
  switch (lua_type(L, idx)) {
  case LUA_TNIL:
    put_tagged(L, self, TAG_NIL, NULL, 0);
    return true;
  case LUA_TBOOLEAN:
    put_tagged(L, self, lua_toboolean(L, idx) ? TAG_TRUE : TAG_FALSE, NULL, 0);
    return true;
  case LUA_TNUMBER:
    pack_number(L, self, idx);
    return true;
  case LUA_TSTRING:
    pack_string(L, self, idx);
    return true;
  case LUA_TTABLE:
    return pack_table(L, self, idx, depth);
  default:
    return refuse(L, idx, depth);
  }
}

void uj_pack_begin(lua_State *L, struct uj_packer *self,
                   struct uj_buffer *buffer)
{
  luaL_checkstack(L, LEVEL_SLOTS, "too many values to copy");
  lua_newtable(L);
  self->buffer = buffer;
  self->seen = lua_gettop(L);
  self->ntables = 0;
}

bool uj_pack(lua_State *L, struct uj_packer *self, int idx)
{
  return pack_value(L, self, lua_absindex(L, idx), 0);
}

static int write_bytes(lua_State *L, const void *bytes, size_t size, void *into)
{
  (void)L;
  return !append(into, bytes, size);
}

void uj_pack_function(lua_State *L, struct uj_packer *self)
{
  struct uj_buffer *buffer = self->buffer;
  size_t size = 0, at;
  put_tagged(L, self, TAG_STRING, &size, sizeof(size));
  at = buffer->size;
  if (lua_dump(L, write_bytes, buffer, 0) != 0)
    luaL_error(L, "not enough memory");
  size = buffer->size - at;
  memcpy(buffer->data + at - sizeof(size), &size, sizeof(size));
}

/* ---- unpacking ----------------------------------------------------------- */

static void take(struct uj_unpacker *self, void *into, size_t size)
{
  memcpy(into, self->at, size);
  self->at += size;
}

static const char *take_bytes(struct uj_unpacker *self, size_t *size)
{
  const char *bytes;
  take(self, size, sizeof(*size));
  bytes = self->at;
  self->at += *size;
  return bytes;
}

static lua_Integer take_integer(struct uj_unpacker *self)
{
  lua_Integer integer;
  take(self, &integer, sizeof(integer));
  return integer;
}

static lua_Number take_number(struct uj_unpacker *self)
{
  lua_Number number;
  take(self, &number, sizeof(number));
  return number;
}

static void unpack_string(lua_State *L, struct uj_unpacker *self)
{
  size_t size;
  const char *bytes = take_bytes(self, &size);
  lua_pushlstring(L, bytes, size);
}

static int hint(size_t size)
{
  return size < INT_MAX ? (int)size : INT_MAX;
}

/* The table gets its number before its contents are unpacked: these may refer
 * to it. */
static void unpack_table(lua_State *L, struct uj_unpacker *self)
{
  struct sizes sizes;
  take(self, &sizes, sizeof(sizes));
  luaL_checkstack(L, LEVEL_SLOTS, "too many values to copy");
  lua_createtable(L, hint(sizes.integers), hint(sizes.others));
  lua_pushvalue(L, -1);
  lua_rawseti(L, self->made, ++self->ntables);
  for (size_t i = sizes.integers + sizes.others; i > 0; i--) {
    uj_unpack(L, self);
    uj_unpack(L, self);
    lua_rawset(L, -3);
  }
}

void uj_unpack(lua_State *L, struct uj_unpacker *self)
{
  enum tag tag = (enum tag) * self->at++;
  switch (tag) {
  case TAG_NIL:
    lua_pushnil(L);
    break;
  case TAG_FALSE:
  case TAG_TRUE:
    lua_pushboolean(L, tag == TAG_TRUE);
    break;
  case TAG_INTEGER:
    lua_pushinteger(L, take_integer(self));
    break;
  case TAG_NUMBER:
    lua_pushnumber(L, take_number(self));
    break;
  case TAG_STRING:
    unpack_string(L, self);
    break;
  case TAG_TABLE:
    unpack_table(L, self);
    break;
  case TAG_AGAIN:
    lua_rawgeti(L, self->made, take_integer(self));
    break;
  }
}

void uj_unpack_begin(lua_State *L, struct uj_unpacker *self,
                     const struct uj_buffer *buffer)
{
  luaL_checkstack(L, LEVEL_SLOTS, "too many values to copy");
  lua_newtable(L);
  self->at = buffer->data;
  self->made = lua_gettop(L);
  self->ntables = 0;
}

void uj_unpack_function(lua_State *L, struct uj_unpacker *self)
{
  size_t size;
  const char *bytes;
  self->at++;
  bytes = take_bytes(self, &size);
  if (luaL_loadbufferx(L, bytes, size, "=work", "b") != LUA_OK)
    lua_error(L);
}
