#include "lua/channel/blob.h"

#include <string.h>

#include "channel/blob.h"
#include "lua/base/args.h"
#include "lua/base/share.h"
#include "lua/channel/handle.h"
#include "lua/state/state.h"

static const struct uj_share *check_self(lua_State *L, const char *name)
{
  const struct uj_share *self = uj_object_self(L, uj_blob_tag, name);
  if (self->shared == NULL)
    luaL_error(L, "bad self to '%s' (the blob was finalized)", name);
  return self;
}

static const char *bytes_of(const struct uj_share *self)
{
  return uj_blob_of(self->shared)->bytes + self->from;
}

/* ---- parts --------------------------------------------------------------- */

static lua_Integer read_position(lua_State *L, const struct uj_callee *callee,
                                 int idx, lua_Integer absent)
{
  int is_integer;
  lua_Integer i;
  if (lua_isnoneornil(L, idx))
    return absent;
  i = lua_tointegerx(L, idx, &is_integer);
  if (!is_integer)
    uj_arg_error(L, callee, idx,
                 lua_pushfstring(L, "integer expected, got %s",
                                 uj_arg_push_got(L, idx)));
  return i;
}

struct part {
  size_t from, size;
};

/* The part from i to j, of which negative ones count from the end, as in
 * string.sub(). `last` is j where there is none. */
static struct part read_part(lua_State *L, const struct uj_callee *callee,
                             const struct uj_share *self, lua_Integer last)
{
  lua_Integer size = (lua_Integer)self->size;
  lua_Integer i = read_position(L, callee, 2, 1);
  lua_Integer j = read_position(L, callee, 3, last == 0 ? i : last);
  if (i < 0)
    i = i < -size ? 1 : size + i + 1;
  else if (i == 0)
    i = 1;
  if (j < 0)
    j = j < -size ? 0 : size + j + 1;
  else if (j > size)
    j = size;
  if (i > j)
    return (struct part){0, 0};
  return (struct part){(size_t)i - 1, (size_t)(j - i) + 1};
}

static int blob_sub(lua_State *L)
{
  static const struct uj_callee callee = {"sub", 1};
  const struct uj_share *self = check_self(L, callee.name);
  struct part part = read_part(L, &callee, self, -1);
  lua_pushlstring(L, bytes_of(self) + part.from, part.size);
  return 1;
}

static int blob_slice(lua_State *L)
{
  static const struct uj_callee callee = {"slice", 1};
  const struct uj_share *self = check_self(L, callee.name);
  struct part part = read_part(L, &callee, self, -1);
  uj_handle_push_blob(L, uj_shared_take(self->shared), self->from + part.from,
                      part.size);
  return 1;
}

static int blob_byte(lua_State *L)
{
  static const struct uj_callee callee = {"byte", 1};
  const struct uj_share *self = check_self(L, callee.name);
  struct part part = read_part(L, &callee, self, 0);
  const char *bytes = bytes_of(self) + part.from;
  if (part.size > INT_MAX / 2)
    return luaL_error(L, "'byte': too many results");
  luaL_checkstack(L, (int)part.size, "too many results");
  for (size_t i = 0; i < part.size; i++)
    lua_pushinteger(L, (unsigned char)bytes[i]);
  return (int)part.size;
}

static int blob_string(lua_State *L)
{
  const struct uj_share *self = check_self(L, "string");
  lua_pushlstring(L, bytes_of(self), self->size);
  return 1;
}

/* ---- the rest ------------------------------------------------------------ */

static int blob_len(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)check_self(L, "len")->size);
  return 1;
}

static int blob_eq(lua_State *L)
{
  const struct uj_share *a = uj_object_to(L, 1, uj_blob_tag);
  const struct uj_share *b = uj_object_to(L, 2, uj_blob_tag);
  lua_pushboolean(L, a != NULL && b != NULL && a->shared != NULL &&
                         b->shared != NULL && a->size == b->size &&
                         memcmp(bytes_of(a), bytes_of(b), a->size) == 0);
  return 1;
}

static int blob_tostring(lua_State *L)
{
  size_t size = check_self(L, "tostring")->size;
  lua_pushfstring(L, UJ_BLOB_TYPE ": %I %s", (LUAI_UACINT)size,
                  size == 1 ? "byte" : "bytes");
  return 1;
}

static bool push_property(lua_State *L, const void *object, const char *key)
{
  (void)L;
  (void)object;
  (void)key;
  return false;
}

static int l_blob(lua_State *L)
{
  static const struct uj_callee callee = {"blob", 0};
  struct uj_blob *blob;
  size_t size;
  const char *bytes;
  if (lua_type(L, 1) != LUA_TSTRING)
    uj_arg_typeerror(L, &callee, 1, "string");
  bytes = lua_tolstring(L, 1, &size);
  uj_handle_press(L, size);
  blob = uj_blob_new(bytes, size);
  if (blob == NULL)
    return luaL_error(L, "not enough memory");
  uj_handle_push_blob(L, &blob->shared, 0, size);
  return 1;
}

void uj_lblob_register(lua_State *L)
{
  static const char *const properties[] = {NULL};
  static const luaL_Reg methods[] = {{"sub", blob_sub},
                                     {"slice", blob_slice},
                                     {"byte", blob_byte},
                                     {"string", blob_string},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__len", blob_len},
                                  {"__eq", blob_eq},
                                  {"__tostring", blob_tostring},
                                  {"__gc", uj_handle_gc},
                                  {NULL, NULL}};
  static const struct uj_type type = {.tag = uj_blob_tag,
                                      .methods = methods,
                                      .meta = meta,
                                      .property = push_property,
                                      .properties = properties,
                                      .counts_lookups = true};
  uj_object_register(L, &type);
}

const luaL_Reg uj_lblob_functions[] = {{"blob", l_blob}, {NULL, NULL}};
