#include "lua/base/copy.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "channel/shared.h"
#include "lua/base/args.h"
#include "lua/base/share.h"

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
  TAG_KEPT,    /* the same, and a TAG_AGAIN follows that is this table */
  TAG_AGAIN,   /* a size_t: the place of that table's tag */
  TAG_SHARED   /* a struct uj_carried */
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

void uj_buffer_clear(struct uj_buffer *buffer)
{
  uj_carried_drop(buffer->data, buffer->carried);
  buffer->carried = UJ_CARRIES_NONE;
  buffer->size = 0;
}

void uj_buffer_free(struct uj_buffer *buffer)
{
  uj_buffer_clear(buffer);
  free(buffer->data);
  buffer->data = NULL;
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
  struct uj_buffer *buffer = self->buffer;
  if (!reserve(buffer, 1 + size))
    luaL_error(L, "not enough memory");
  buffer->data[buffer->size++] = (char)tag;
  if (size > 0)
    memcpy(buffer->data + buffer->size, bytes, size);
  buffer->size += size;
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

static bool refuse_size(lua_State *L, const struct uj_packer *self);

static bool pack_string(lua_State *L, struct uj_packer *self, int idx)
{
  size_t size;
  const char *bytes = lua_tolstring(L, idx, &size);
  if (size > self->limit)
    return refuse_size(L, self);
  put_tagged(L, self, TAG_STRING, &size, sizeof(size));
  put(L, self, bytes, size);
  return true;
}

/* ---- refusing ------------------------------------------------------------ */

/* What cannot be packed is told by two strings on the top: what was expected
 * and what came, and where: the keys that lead there, or nil. The functions
 * that have gone into a table each add theirs in front. */
static bool refuse(lua_State *L, const struct uj_packer *self, int idx)
{
  const char *got = uj_arg_typename(L, idx);
  lua_pushfstring(L,
                  "nil, boolean, number, string%s or table of them expected, "
                  "got %s",
                  self->never_carry ? "" : ", channel, blob", got);
  lua_pushliteral(L, "");
  return false;
}

static bool refuse_size(lua_State *L, const struct uj_packer *self)
{
  lua_pushfstring(L, "it takes more than %I bytes", (LUAI_UACINT)self->limit);
  lua_pushliteral(L, "");
  return false;
}

static bool is_name(const char *text, size_t length)
{
  static const char first[] = "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  enum { LONGEST = 40 };
  if (length == 0 || length > LONGEST || strspn(text, first) == 0)
    return false;
  for (size_t i = 1; i < length; i++)
    if (text[i] == '\0' || (strchr(first, text[i]) == NULL &&
                            strchr("0123456789", text[i]) == NULL))
      return false;
  return true;
}

/* [-0, +1, m] Pushes how the key at idx leads into a table. */
static void push_step(lua_State *L, int idx)
{
  size_t length;
  const char *text;
  switch (lua_type(L, idx)) {
  case LUA_TSTRING:
    text = lua_tolstring(L, idx, &length);
    if (is_name(text, length))
      lua_pushfstring(L, ".%s", text);
    else
      lua_pushliteral(L, "[string]");
    break;
  case LUA_TNUMBER:
    lua_pushvalue(L, idx); /* tostring() would change the key */
    lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
    lua_remove(L, -2);
    break;
  case LUA_TBOOLEAN:
    lua_pushfstring(L, "[%s]", lua_toboolean(L, idx) ? "true" : "false");
    break;
  default:
    lua_pushfstring(L, "[%s]", luaL_typename(L, idx));
  }
}

/* The value of the key at idx, or the key itself, was refused. */
static bool refuse_at(lua_State *L, int key, bool is_key)
{
  if (lua_isnil(L, -1))
    return false;
  if (is_key) {
    lua_insert(L, -2); /* the way, what is wrong */
    lua_pushliteral(L, " as a key");
    lua_concat(L, 2);
    lua_insert(L, -2);
    return false;
  }
  push_step(L, key);
  lua_insert(L, -2);
  lua_concat(L, 2);
  return false;
}

/* [-2, +1, m] Makes one message of the two strings. */
static void push_refusal(lua_State *L)
{
  if (lua_rawlen(L, -1) == 0) {
    lua_pop(L, 1);
    return;
  }
  lua_pushliteral(L, " at value");
  lua_insert(L, -2);
  lua_concat(L, 3);
}

/* ---- values -------------------------------------------------------------- */

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
    if (!pack_value(L, self, key, depth))
      return refuse_at(L, key, true);
    if (!pack_value(L, self, key + 1, depth))
      return refuse_at(L, key, false);
    lua_pop(L, 1);
  }
  memcpy(self->buffer->data + at, &sizes, sizeof(sizes));
  return true;
}

/* [-0, +0, m] Whether the table was packed before; then *at is the place of its
 * tag. */
static bool find_seen(lua_State *L, const struct uj_packer *self, int idx,
                      size_t *at)
{
  const void *table = lua_topointer(L, idx);
  int few = self->ntables < UJ_PACK_FEW ? self->ntables : UJ_PACK_FEW;
  bool found;
  for (int i = 0; i < few; i++)
    if (self->few[i].table == table) {
      *at = self->few[i].at;
      return true;
    }
  if (self->ntables <= UJ_PACK_FEW)
    return false;
  lua_pushvalue(L, idx);
  found = lua_rawget(L, self->seen) == LUA_TNUMBER;
  *at = (size_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return found;
}

/* The first tables are known by their addresses, which needs no memory of Lua's
 * and so runs no finalizer that could change the tables meanwhile. */
static void note_seen(lua_State *L, struct uj_packer *self, int idx)
{
  size_t at = self->buffer->size;
  int n = self->ntables++;
  if (n < UJ_PACK_FEW) {
    self->few[n].table = lua_topointer(L, idx);
    self->few[n].at = at;
    return;
  }
  if (n == UJ_PACK_FEW) {
    lua_newtable(L);
    lua_replace(L, self->seen);
  }
  lua_pushvalue(L, idx);
  lua_pushinteger(L, (lua_Integer)at);
  lua_rawset(L, self->seen);
}

static bool pack_table(lua_State *L, struct uj_packer *self, int idx, int depth)
{
  bool packed;
  size_t at;
  luaL_checkstack(L, LEVEL_SLOTS, "too many values to copy");
  if (find_seen(L, self, idx, &at)) {
    self->buffer->data[at] = TAG_KEPT;
    put_tagged(L, self, TAG_AGAIN, &at, sizeof(at));
    return true;
  }
  if (depth == MAX_DEPTH) {
    lua_pushfstring(L, "tables nested more than %d deep", MAX_DEPTH);
    lua_pushnil(L); /* the way there is long, and of no interest */
    return false;
  }
  note_seen(L, self, idx);
  lua_pushvalue(L, idx);
  packed = pack_pairs(L, self, depth + 1);
  if (packed)
    lua_pop(L, 1);
  return packed;
}

/* What the userdata at idx shares gets one reference more, which is the
 * buffer's. */
static bool pack_shared(lua_State *L, struct uj_packer *self, int idx)
{
  const struct uj_share *share = uj_share_to(L, idx);
  struct uj_buffer *buffer = self->buffer;
  struct uj_carried carried;
  if (share == NULL || self->never_carry)
    return refuse(L, self, idx);
  carried = (struct uj_carried){.shared = share->shared,
                                .before = buffer->carried,
                                .from = share->from,
                                .size = share->size};
  put_tagged(L, self, TAG_SHARED, &carried, sizeof(carried));
  uj_shared_take(share->shared);
  buffer->carried = buffer->size - sizeof(carried) + 1;
  return true;
}

static bool pack_value(lua_State *L, struct uj_packer *self, int idx, int depth)
{
  if (self->buffer->size > self->limit)
    return refuse_size(L, self);
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
    return pack_string(L, self, idx);
  case LUA_TTABLE:
    return pack_table(L, self, idx, depth);
  case LUA_TUSERDATA:
    return pack_shared(L, self, idx);
  default:
    return refuse(L, self, idx);
  }
}

void uj_pack_begin(lua_State *L, struct uj_packer *self,
                   struct uj_buffer *buffer)
{
  luaL_checkstack(L, LEVEL_SLOTS, "too many values to copy");
  lua_pushnil(L);
  self->buffer = buffer;
  self->limit = SIZE_MAX;
  self->never_carry = false;
  self->seen = lua_gettop(L);
  self->ntables = 0;
}

bool uj_pack(lua_State *L, struct uj_packer *self, int idx)
{
  idx = lua_absindex(L, idx);
  if (pack_value(L, self, idx, 0) &&
      (self->buffer->size <= self->limit || refuse_size(L, self)))
    return true;
  push_refusal(L);
  return false;
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

/* [-0, +0, m] A TAG_AGAIN will ask for the table on the top. */
static void keep_made(lua_State *L, const struct uj_unpacker *self,
                      const char *tag)
{
  if (lua_isnil(L, self->made)) {
    lua_newtable(L);
    lua_replace(L, self->made);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, self->made, tag - self->data + 1);
}

static void unpack_again(lua_State *L, struct uj_unpacker *self)
{
  size_t at;
  take(self, &at, sizeof(at));
  lua_rawgeti(L, self->made, (lua_Integer)at + 1);
}

/* The table is kept before its contents are unpacked: these may refer to it. */
static void unpack_table(lua_State *L, struct uj_unpacker *self, bool is_kept)
{
  struct sizes sizes;
  const char *tag = self->at - 1;
  take(self, &sizes, sizeof(sizes));
  luaL_checkstack(L, LEVEL_SLOTS, "too many values to copy");
  lua_createtable(L, hint(sizes.integers), hint(sizes.others));
  if (is_kept)
    keep_made(L, self, tag);
  for (size_t i = sizes.integers + sizes.others; i > 0; i--) {
    uj_unpack(L, self);
    uj_unpack(L, self);
    lua_rawset(L, -3);
  }
}

static void unpack_shared(lua_State *L, struct uj_unpacker *self)
{
  struct uj_carried carried;
  take(self, &carried, sizeof(carried));
  uj_share_push(L, &carried);
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
  case TAG_KEPT:
    unpack_table(L, self, tag == TAG_KEPT);
    break;
  case TAG_AGAIN:
    unpack_again(L, self);
    break;
  case TAG_SHARED:
    unpack_shared(L, self);
    break;
  }
}

void uj_unpack_begin(lua_State *L, struct uj_unpacker *self,
                     const struct uj_buffer *buffer)
{
  luaL_checkstack(L, LEVEL_SLOTS, "too many values to copy");
  lua_pushnil(L);
  self->data = buffer->data;
  self->at = buffer->data;
  self->made = lua_gettop(L);
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
