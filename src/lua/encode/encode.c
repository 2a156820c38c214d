#include "lua/encode/encode.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/args.h"
#include "lua/encode/decode.h"
#include "lua/encode/utf8.h"

/* Tables can be nested this deep: encoding is recursive, on the stack of C. */
enum { MOST_DEPTH = 100, LEVEL_SLOTS = 8, FIRST_ROOM = 256, NUMBER_ROOM = 40 };

/* A table that is being encoded, inside of others. */
struct level {
  const struct level *outer; /* NULL for the outermost */
  const void *table;
  int key; /* index of the key of what is being encoded */
};

struct text {
  char *data; /* of malloc() */
  size_t size, room, most;
  const struct level *at; /* where something was wrong */
};

static void encode_value(lua_State *L, struct text *text, int idx,
                         const struct level *outer);

/* ---- what is wrong ------------------------------------------------------- */

/* [-0, +1, m] Pushes the path to a level. */
static void push_path(lua_State *L, const struct level *level)
{
  if (level == NULL) {
    lua_pushliteral(L, "");
    return;
  }
  luaL_checkstack(L, 3, "path");
  push_path(L, level->outer);
  if (lua_type(L, level->key) == LUA_TSTRING)
    lua_pushfstring(L, ".%s", lua_tostring(L, level->key));
  else
    lua_pushfstring(L, "[%I]", (LUAI_UACINT)lua_tointeger(L, level->key));
  lua_concat(L, 2);
}

/* [-1, +0, v] Raises a table of the problem, which is on the top, and its path.
 */
static void fail(lua_State *L, const struct level *level)
{
  lua_createtable(L, 2, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 1);
  push_path(L, level);
  lua_rawseti(L, -2, 2);
  lua_error(L);
}

static void fail_with(lua_State *L, const struct level *level,
                      const char *problem)
{
  lua_pushstring(L, problem);
  fail(L, level);
}

/* ---- writing ------------------------------------------------------------- */

/* Returns room for so many bytes more. */
static char *reserve(lua_State *L, struct text *text, size_t size)
{
  size_t room = text->room == 0 ? FIRST_ROOM : text->room;
  char *data;
  if (text->room - text->size >= size)
    return text->data + text->size;
  while (room - text->size < size)
    room *= 2;
  data = realloc(text->data, room);
  if (data == NULL)
    luaL_error(L, "not enough memory");
  text->data = data;
  text->room = room;
  return data + text->size;
}

static void put(lua_State *L, struct text *text, const char *bytes, size_t size)
{
  if (size > text->most || text->size > text->most - size) {
    lua_pushfstring(L, "more than %I bytes", (LUAI_UACINT)text->most);
    fail(L, NULL);
  }
  memcpy(reserve(L, text, size), bytes, size);
  text->size += size;
}

static void put_float(lua_State *L, struct text *text, int idx,
                      const struct level *outer)
{
  double number = lua_tonumber(L, idx);
  char bytes[NUMBER_ROOM];
  int size;
  if (isnan(number))
    fail_with(L, outer, "NaN cannot be stored");
  if (isinf(number)) {
    put(L, text, number > 0 ? "1e999" : "-1e999", number > 0 ? 5 : 6);
    return;
  }
  size = snprintf(bytes, sizeof(bytes), "%.17g", number);
  for (char *at = bytes; *at != '\0'; at++)
    if (*at == ',') /* of a locale */
      *at = '.';
  put(L, text, bytes, (size_t)size);
  if (strpbrk(bytes, ".e") == NULL)
    put(L, text, ".0", 2);
}

static void put_number(lua_State *L, struct text *text, int idx,
                       const struct level *outer)
{
  char bytes[NUMBER_ROOM];
  int size;
  if (!lua_isinteger(L, idx)) {
    put_float(L, text, idx, outer);
    return;
  }
  size = snprintf(bytes, sizeof(bytes), LUA_INTEGER_FMT, lua_tointeger(L, idx));
  put(L, text, bytes, (size_t)size);
}

/* A character of one byte, which JSON may want to be written otherwise. */
static void put_ascii(lua_State *L, struct text *text, unsigned char byte)
{
  char bytes[NUMBER_ROOM];
  int size;
  if (byte == '"' || byte == '\\') {
    bytes[0] = '\\';
    bytes[1] = (char)byte;
    put(L, text, bytes, 2);
  } else if (byte == '\n')
    put(L, text, "\\n", 2);
  else {
    size = snprintf(bytes, sizeof(bytes), "\\u%04x", byte);
    put(L, text, bytes, (size_t)size);
  }
}

static bool is_plain(unsigned char byte)
{
  return byte >= ' ' && byte != '"' && byte != '\\' && byte != 0x7F;
}

static void put_string(lua_State *L, struct text *text, int idx,
                       const struct level *outer)
{
  size_t size, done = 0, n;
  const char *bytes = lua_tolstring(L, idx, &size);
  const unsigned char *at = (const unsigned char *)bytes;
  put(L, text, "\"", 1);
  for (size_t i = 0; i < size; i += n) {
    n = uj_utf8_length(at + i, size - i);
    if (n == 0)
      fail_with(L, outer, "a string that is not UTF-8 cannot be stored");
    if (n > 1 || is_plain(at[i]))
      continue;
    put(L, text, bytes + done, i - done);
    put_ascii(L, text, at[i]);
    done = i + 1;
  }
  put(L, text, bytes + done, size - done);
  put(L, text, "\"", 1);
}

/* ---- tables -------------------------------------------------------------- */

struct shape {
  lua_Integer strings, integers, last; /* numbers of keys; the greatest */
};

static struct shape shape_of(lua_State *L, int idx, const struct level *outer)
{
  struct shape shape = {0, 0, 0};
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    if (lua_type(L, -2) == LUA_TSTRING)
      shape.strings++;
    else if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1) {
      lua_Integer key = lua_tointeger(L, -2);
      shape.integers++;
      shape.last = key > shape.last ? key : shape.last;
    } else {
      lua_pushfstring(L, "a table with a key that is a %s cannot be stored",
                      lua_isinteger(L, -2) ? "number < 1"
                                           : uj_arg_typename(L, -2));
      fail(L, outer);
    }
    lua_pop(L, 1);
  }
  return shape;
}

static void put_list(lua_State *L, struct text *text, int idx, lua_Integer n,
                     struct level *level)
{
  level->key = lua_gettop(L) + 1;
  for (lua_Integer i = 1; i <= n; i++) {
    lua_pushinteger(L, i);
    lua_rawgeti(L, idx, i);
    put(L, text, i == 1 ? "[" : ",", 1);
    encode_value(L, text, level->key + 1, level);
    lua_settop(L, level->key - 1);
  }
  put(L, text, "]", 1);
}

/* A key of an object. The table has it, so it stays. */
struct name {
  const char *bytes;
  size_t size;
};

static int compare(const void *left, const void *right)
{
  const struct name *a = left, *b = right;
  int order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);
  if (order != 0)
    return order;
  return a->size < b->size ? -1 : a->size > b->size;
}

/* [-0, +1, m] Pushes a block with the names, sorted. */
static const struct name *push_names(lua_State *L, int idx, lua_Integer n)
{
  struct name *names = lua_newuserdatauv(L, (size_t)n * sizeof(*names), 0);
  size_t count = 0;
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    names[count].bytes = lua_tolstring(L, -2, &names[count].size);
    count++;
    lua_pop(L, 1);
  }
  qsort(names, count, sizeof(*names), compare);
  return names;
}

static void put_object(lua_State *L, struct text *text, int idx, lua_Integer n,
                       struct level *level)
{
  const struct name *names = push_names(L, idx, n);
  level->key = lua_gettop(L) + 1;
  for (lua_Integer i = 0; i < n; i++) {
    lua_pushlstring(L, names[i].bytes, names[i].size);
    put(L, text, i == 0 ? "{" : ",", 1);
    put_string(L, text, level->key, level);
    put(L, text, ":", 1);
    lua_pushvalue(L, level->key);
    lua_rawget(L, idx);
    encode_value(L, text, level->key + 1, level);
    lua_settop(L, level->key - 1);
  }
  lua_settop(L, level->key - 2);
  put(L, text, "}", 1);
}

static void check_level(lua_State *L, const struct level *level)
{
  int depth = 0;
  for (const struct level *outer = level->outer; outer != NULL;
       outer = outer->outer, depth++)
    if (outer->table == level->table)
      fail_with(L, level->outer,
                "a table that contains itself cannot be "
                "stored");
  if (depth > MOST_DEPTH)
    fail_with(L, NULL, "tables are nested too deep");
}

static void put_table(lua_State *L, struct text *text, int idx,
                      const struct level *outer)
{
  struct level level = {outer, lua_topointer(L, idx), 0};
  struct shape shape;
  luaL_checkstack(L, LEVEL_SLOTS, "encode");
  check_level(L, &level);
  shape = shape_of(L, idx, outer);
  if (shape.strings == 0 && shape.integers == 0)
    put(L, text, "{}", 2);
  else if (shape.integers == 0)
    put_object(L, text, idx, shape.strings, &level);
  else if (shape.strings > 0)
    fail_with(L, outer,
              "a table with strings and numbers as keys cannot be "
              "stored");
  else if (shape.integers != shape.last)
    fail_with(L, outer, "a list with holes cannot be stored");
  else
    put_list(L, text, idx, shape.integers, &level);
}

static void encode_value(lua_State *L, struct text *text, int idx,
                         const struct level *outer)
{
  switch (lua_type(L, idx)) {
  case LUA_TNIL:
    put(L, text, "null", 4);
    break;
  case LUA_TBOOLEAN:
    put(L, text, lua_toboolean(L, idx) ? "true" : "false",
        lua_toboolean(L, idx) ? 4 : 5);
    break;
  case LUA_TNUMBER:
    put_number(L, text, idx, outer);
    break;
  case LUA_TSTRING:
    put_string(L, text, idx, outer);
    break;
  case LUA_TTABLE:
    put_table(L, text, idx, outer);
    break;
  default:
    lua_pushfstring(L, "a %s cannot be stored", uj_arg_typename(L, idx));
    fail(L, outer);
  }
}

/* ---- the functions ------------------------------------------------------- */

/* (text, value): returns the string. */
static int encode(lua_State *L)
{
  struct text *text = lua_touserdata(L, 1);
  encode_value(L, text, 2, NULL);
  lua_pushlstring(L, text->data, text->size);
  return 1;
}

static int l_encode(lua_State *L)
{
  struct text text = {0};
  int status;
  luaL_checkany(L, 1);
  text.most = (size_t)luaL_checkinteger(L, 2);
  lua_settop(L, 1);
  lua_pushcfunction(L, encode);
  lua_insert(L, 1);
  lua_pushlightuserdata(L, &text);
  lua_insert(L, 2);
  status = lua_pcall(L, 2, 1, 0);
  free(text.data);
  if (status == LUA_OK)
    return 1;
  if (!lua_istable(L, -1))
    return lua_error(L);
  lua_pushnil(L);
  lua_rawgeti(L, -2, 1);
  lua_rawgeti(L, -3, 2);
  return 3;
}

const luaL_Reg uj_encode_internals[] = {
    {"encode", l_encode}, {"decode", uj_decode}, {NULL, NULL}};
