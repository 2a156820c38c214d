#include "lua/encode/decode.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lua/encode/utf8.h"

enum { MOST_DEPTH = 200, LEVEL_SLOTS = 4 };

struct reader {
  const char *first, *at, *end;
  int depth;
};

static void read_value(lua_State *L, struct reader *self);

/* Raises a message of its own, without a place in a program. */
static void fail(lua_State *L, const struct reader *self, const char *problem)
{
  lua_pushfstring(L, "%s at byte %I", problem,
                  (LUAI_UACINT)(self->at - self->first) + 1);
  lua_error(L);
}

static void skip_space(struct reader *self)
{
  while (self->at < self->end && strchr(" \t\n\r", *self->at) != NULL &&
         *self->at != '\0')
    self->at++;
}

/* The next character, or 0 at the end. */
static char peek(const struct reader *self)
{
  if (self->at == self->end)
    return '\0';
  return *self->at;
}

static bool accept(struct reader *self, char wanted)
{
  if (self->at == self->end || *self->at != wanted)
    return false;
  self->at++;
  return true;
}

static void expect(lua_State *L, struct reader *self, char wanted)
{
  char problem[] = "'?' expected";
  problem[1] = wanted;
  if (!accept(self, wanted))
    fail(L, self, problem);
}

static bool accept_word(struct reader *self, const char *word)
{
  size_t size = strlen(word);
  if ((size_t)(self->end - self->at) < size ||
      memcmp(self->at, word, size) != 0)
    return false;
  self->at += size;
  return true;
}

/* ---- strings ------------------------------------------------------------- */

static unsigned read_hex(lua_State *L, struct reader *self)
{
  unsigned value = 0;
  for (int i = 0; i < 4; i++) {
    const char *digits = "0123456789abcdef0123456789ABCDEF", *digit;
    digit = peek(self) == '\0' ? NULL : strchr(digits, peek(self));
    if (digit != NULL)
      value = value << 4 | (unsigned)((digit - digits) % 16);
    else
      fail(L, self, "four hexadecimal digits expected");
    self->at++;
  }
  return value;
}

static void read_unicode(lua_State *L, struct reader *self, luaL_Buffer *into)
{
  unsigned char bytes[4];
  unsigned long character = read_hex(L, self);
  size_t size;
  if (character >= 0xD800 && character < 0xDC00 && accept_word(self, "\\u")) {
    unsigned long low = read_hex(L, self);
    if (low < 0xDC00 || low > 0xDFFF)
      fail(L, self, "half of a character");
    character = 0x10000 + ((character - 0xD800) << 10) + (low - 0xDC00);
  }
  size = uj_utf8_write(bytes, character);
  if (size == 0)
    fail(L, self, "half of a character");
  luaL_addlstring(into, (const char *)bytes, size);
}

static void read_escape(lua_State *L, struct reader *self, luaL_Buffer *into)
{
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  const char *name;
  if (accept(self, 'u')) {
    read_unicode(L, self, into);
    return;
  }
  name = peek(self) == '\0' ? NULL : strchr(names, peek(self));
  if (name != NULL)
    luaL_addchar(into, values[name - names]);
  else
    fail(L, self, "unknown escape");
  self->at++;
}

/* [-0, +1, m] */
static void read_string(lua_State *L, struct reader *self)
{
  luaL_Buffer into;
  expect(L, self, '"');
  luaL_buffinit(L, &into);
  while (!accept(self, '"')) {
    size_t n = uj_utf8_length((const unsigned char *)self->at,
                              (size_t)(self->end - self->at));
    if (self->at == self->end || (unsigned char)*self->at < ' ')
      fail(L, self, "a string does not end");
    if (n == 0)
      fail(L, self, "a string is not UTF-8");
    if (accept(self, '\\')) {
      read_escape(L, self, &into);
      continue;
    }
    luaL_addlstring(&into, self->at, n);
    self->at += n;
  }
  luaL_pushresult(&into);
}

/* ---- numbers ------------------------------------------------------------- */

static void skip_digits(lua_State *L, struct reader *self)
{
  if (peek(self) < '0' || peek(self) > '9')
    fail(L, self, "a digit expected");
  while (peek(self) >= '0' && peek(self) <= '9')
    self->at++;
}

/* Skips a number; returns whether it is written as an integer. */
static bool skip_number(lua_State *L, struct reader *self)
{
  bool is_integer = true;
  (void)accept(self, '-');
  if (!accept(self, '0'))
    skip_digits(L, self);
  if (accept(self, '.')) {
    skip_digits(L, self);
    is_integer = false;
  }
  if (accept(self, 'e') || accept(self, 'E')) {
    if (!accept(self, '+'))
      (void)accept(self, '-');
    skip_digits(L, self);
    is_integer = false;
  }
  return is_integer;
}

/* [-0, +1, m] lua_stringtonumber() reads integers as such if they fit, and
 * knows the locale's point. It takes no infinity, which strtod() makes of
 * 1e999. */
static void read_number(lua_State *L, struct reader *self)
{
  const char *first = self->at;
  bool is_integer = skip_number(L, self);
  size_t size = (size_t)(self->at - first);
  const char *text = lua_pushlstring(L, first, size);
  if (is_integer) {
    long long integer;
    errno = 0;
    integer = strtoll(text, NULL, 10);
    if (errno == 0)
      lua_pushinteger(L, integer);
    else
      lua_pushnumber(L, strtod(text, NULL));
  } else if (lua_stringtonumber(L, text) == 0)
    lua_pushnumber(L, strtod(text, NULL));
  lua_remove(L, -2);
}

/* ---- tables -------------------------------------------------------------- */

/* [-0, +1, m] nil in a table cannot be kept, so it leaves a hole, or nothing.
 */
static void read_list(lua_State *L, struct reader *self)
{
  lua_Integer n = 0;
  lua_newtable(L);
  self->at++;
  skip_space(self);
  if (accept(self, ']'))
    return;
  do {
    read_value(L, self);
    lua_rawseti(L, -2, ++n);
  } while (accept(self, ','));
  expect(L, self, ']');
}

static void read_object(lua_State *L, struct reader *self)
{
  lua_newtable(L);
  self->at++;
  skip_space(self);
  if (accept(self, '}'))
    return;
  do {
    skip_space(self);
    read_string(L, self);
    skip_space(self);
    expect(L, self, ':');
    read_value(L, self);
    lua_rawset(L, -3);
  } while (accept(self, ','));
  expect(L, self, '}');
}

/* ---- values -------------------------------------------------------------- */

static void read_nested(lua_State *L, struct reader *self)
{
  if (++self->depth > MOST_DEPTH)
    fail(L, self, "tables are nested too deep");
  luaL_checkstack(L, LEVEL_SLOTS, "decode");
  if (*self->at == '[')
    read_list(L, self);
  else
    read_object(L, self);
  self->depth--;
}

static void read_value(lua_State *L, struct reader *self)
{
  skip_space(self);
  if (peek(self) == '{' || peek(self) == '[')
    read_nested(L, self);
  else if (peek(self) == '"')
    read_string(L, self);
  else if (accept_word(self, "true"))
    lua_pushboolean(L, 1);
  else if (accept_word(self, "false"))
    lua_pushboolean(L, 0);
  else if (accept_word(self, "null"))
    lua_pushnil(L);
  else
    read_number(L, self);
  skip_space(self);
}

/* (text) */
static int decode(lua_State *L)
{
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  struct reader reader = {text, text, text + size, 0};
  luaL_checkstack(L, LEVEL_SLOTS, "decode");
  read_value(L, &reader);
  if (reader.at != reader.end)
    fail(L, &reader, "something follows the value");
  return 1;
}

int uj_decode(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 1);
  lua_pushcfunction(L, decode);
  lua_insert(L, 1);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK)
    return 1;
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}
