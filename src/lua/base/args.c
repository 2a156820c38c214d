#include "lua/base/args.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1e9

const char *uj_arg_typename(lua_State *L, int idx)
{
  if (luaL_getmetafield(L, idx, "__name") == LUA_TSTRING)
    return lua_tostring(L, -1); /* stays: an error is about to be raised */
  if (lua_type(L, idx) == LUA_TLIGHTUSERDATA)
    return "light userdata";
  return luaL_typename(L, idx);
}

int uj_arg_error(lua_State *L, const struct uj_callee *callee, int idx,
                 const char *message)
{
  luaL_error(L, "bad argument #%d to '%s' (%s)", idx - callee->self,
             callee->name, message);
  abort(); /* Lua's header does not say that luaL_error() never returns */
}

int uj_arg_typeerror(lua_State *L, const struct uj_callee *callee, int idx,
                     const char *expected)
{
  const char *got = uj_arg_typename(L, idx);
  uj_arg_error(L, callee, idx,
               lua_pushfstring(L, "%s expected, got %s", expected, got));
}

int uj_arg_selferror(lua_State *L, const char *name, const char *type)
{
  luaL_error(L, "bad self to '%s' (%s expected, got %s)", name, type,
             uj_arg_typename(L, 1));
  abort();
}

void uj_arg_function(lua_State *L, const struct uj_callee *callee, int idx)
{
  if (!lua_isfunction(L, idx))
    uj_arg_typeerror(L, callee, idx, "function");
}

/* [-0, +1, m] What a number looks like in a message. */
static const char *push_number(lua_State *L, int idx)
{
  if (lua_isinteger(L, idx))
    return lua_pushfstring(L, "%I", (LUAI_UACINT)lua_tointeger(L, idx));
  if (isnan(lua_tonumber(L, idx)))
    return lua_pushliteral(L, "nan");
  return lua_pushfstring(L, "%f", (LUAI_UACNUMBER)lua_tonumber(L, idx));
}

/* NULL when the number at idx is a duration; else what it should be. */
static const char *wrong_seconds(lua_State *L, int idx)
{
  lua_Number seconds = lua_tonumber(L, idx);
  if (!(seconds >= 0))
    return "seconds must be >= 0";
  return isinf(seconds) ? "seconds must be finite" : NULL;
}

/* A time too far to count is far enough. */
static uint64_t to_ns(lua_Number seconds)
{
  lua_Number ns = ceil(seconds * NS_PER_S);
  return ns >= (lua_Number)INT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

const char *uj_arg_push_wrong_seconds(lua_State *L, int idx)
{
  const char *wrong;
  if (lua_type(L, idx) != LUA_TNUMBER)
    return lua_pushfstring(L, "number expected, got %s",
                           uj_arg_typename(L, idx));
  wrong = wrong_seconds(L, idx);
  if (wrong == NULL)
    return NULL;
  return lua_pushfstring(L, "%s, got %s", wrong, push_number(L, idx));
}

uint64_t uj_arg_seconds(lua_State *L, const struct uj_callee *callee, int idx)
{
  const char *wrong = uj_arg_push_wrong_seconds(L, idx);
  if (wrong != NULL)
    uj_arg_error(L, callee, idx, wrong);
  return to_ns(lua_tonumber(L, idx));
}

uint64_t uj_arg_opt_seconds(lua_State *L, const struct uj_callee *callee,
                            int idx, uint64_t absent_ns)
{
  return lua_isnoneornil(L, idx) ? absent_ns : uj_arg_seconds(L, callee, idx);
}

/* Reads an integer >= min, or math.huge as UINT64_MAX. Returns what was
 * expected when it is something else, and NULL otherwise. */
static const char *read_count(lua_State *L, int idx, lua_Integer min,
                              uint64_t *count)
{
  int is_integer;
  lua_Integer integer = lua_tointegerx(L, idx, &is_integer);
  bool is_number = lua_type(L, idx) == LUA_TNUMBER;
  if (is_number && lua_tonumber(L, idx) == HUGE_VAL)
    *count = UINT64_MAX;
  else if (is_number && is_integer && integer >= min)
    *count = (uint64_t)integer;
  else
    return min == 0 ? "integer >= 0 or math.huge" : "integer >= 1 or math.huge";
  return NULL;
}

/* [-0, +1, m] What a value that is wrong looks like in a message. */
static const char *push_got(lua_State *L, int idx)
{
  if (lua_type(L, idx) == LUA_TNUMBER)
    return push_number(L, idx);
  if (lua_type(L, idx) == LUA_TSTRING)
    return lua_pushfstring(L, "'%s'", lua_tostring(L, idx));
  return uj_arg_typename(L, idx);
}

uint64_t uj_arg_count(lua_State *L, const struct uj_callee *callee, int idx,
                      lua_Integer min)
{
  uint64_t count = 0;
  const char *expected = read_count(L, idx, min, &count);
  if (expected != NULL)
    uj_arg_error(
        L, callee, idx,
        lua_pushfstring(L, "%s expected, got %s", expected, push_got(L, idx)));
  return count;
}

void uj_arg_push_count(lua_State *L, uint64_t count)
{
  if (count == UINT64_MAX)
    lua_pushnumber(L, HUGE_VAL);
  else
    lua_pushinteger(L, (lua_Integer)count);
}

enum { LONGEST_NAME = 32 };

static size_t min3(size_t a, size_t b, size_t c)
{
  size_t least = a < b ? a : b;
  return least < c ? least : c;
}

/* The Levenshtein distance, by the algorithm of Wagner and Fischer (1974), one
 * row at a time. */
static size_t distance(const char *from, const char *to)
{
  size_t row[LONGEST_NAME + 1], n = strlen(to);
  if (strlen(from) > LONGEST_NAME || n > LONGEST_NAME)
    return LONGEST_NAME;
  for (size_t j = 0; j <= n; j++)
    row[j] = j;
  for (size_t i = 1; from[i - 1] != '\0'; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= n; j++) {
      size_t above = row[j];
      row[j] = min3(above + 1, row[j - 1] + 1,
                    diagonal + (from[i - 1] != to[j - 1]));
      diagonal = above;
    }
  }
  return row[n];
}

static const char *nearest(const struct uj_option *known, const char *key)
{
  const struct uj_option *best = known;
  for (const struct uj_option *option = known; option->name; option++)
    if (distance(key, option->name) < distance(key, best->name))
      best = option;
  return best->name;
}

/* (key, table): the key of the table that is most like it. */
int uj_arg_nearest(lua_State *L)
{
  const char *key = luaL_checkstring(L, 1);
  size_t least = SIZE_MAX;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_pushnil(L); /* the best, at 3 */
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    size_t far = lua_type(L, -2) == LUA_TSTRING
                     ? distance(key, lua_tostring(L, -2))
                     : SIZE_MAX;
    lua_pop(L, 1);
    if (far < least) {
      least = far;
      lua_copy(L, -1, 3);
    }
  }
  lua_settop(L, 3);
  return 1;
}

_Noreturn static void unknown_option(lua_State *L,
                                     const struct uj_options *options)
{
  const char *message;
  if (lua_type(L, -2) == LUA_TSTRING) {
    const char *key = lua_tostring(L, -2);
    message = lua_pushfstring(L, "unknown option '%s', did you mean '%s'?", key,
                              nearest(options->known, key));
  } else {
    const char *got = luaL_tolstring(L, -2, NULL);
    message = lua_pushfstring(L, "unknown option [%s], '%s' is a known one",
                              got, options->known->name);
  }
  uj_arg_error(L, options->callee, options->idx, message);
}

static const struct uj_option *find_option(lua_State *L,
                                           const struct uj_option *known)
{
  size_t length;
  const char *key;
  if (lua_type(L, -2) != LUA_TSTRING)
    return NULL;
  key = lua_tolstring(L, -2, &length);
  for (; known->name != NULL; known++)
    if (strlen(known->name) == length && strcmp(known->name, key) == 0)
      return known;
  return NULL;
}

void uj_options_read(lua_State *L, const struct uj_callee *callee, int idx,
                     const struct uj_option *known, void *into)
{
  struct uj_options options = {.callee = callee, .idx = idx, .known = known};
  luaL_checkstack(L, LUA_MINSTACK, "options");
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    const struct uj_option *option = find_option(L, known);
    if (option == NULL)
      unknown_option(L, &options);
    options.name = option->name;
    option->take(L, &options, into);
    lua_pop(L, 1);
  }
}

int uj_option_error(lua_State *L, const struct uj_options *options,
                    const char *expected)
{
  const char *got = push_got(L, lua_gettop(L));
  uj_arg_error(L, options->callee, options->idx,
               lua_pushfstring(L, "option '%s': %s expected, got %s",
                               options->name, expected, got));
}

uint64_t uj_option_seconds(lua_State *L, const struct uj_options *options)
{
  if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) == HUGE_VAL)
    uj_option_error(L, options, "finite seconds >= 0");
  if (lua_type(L, -1) != LUA_TNUMBER || wrong_seconds(L, -1) != NULL)
    uj_option_error(L, options, "seconds >= 0");
  return to_ns(lua_tonumber(L, -1));
}

uint64_t uj_option_slice(lua_State *L, const struct uj_options *options)
{
  if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) == HUGE_VAL)
    return UINT64_MAX;
  if (lua_type(L, -1) != LUA_TNUMBER || wrong_seconds(L, -1) != NULL ||
      lua_tonumber(L, -1) == 0)
    uj_option_error(L, options, "seconds > 0 or math.huge");
  return to_ns(lua_tonumber(L, -1));
}

bool uj_option_boolean(lua_State *L, const struct uj_options *options)
{
  if (!lua_isboolean(L, -1))
    uj_option_error(L, options, "boolean");
  return lua_toboolean(L, -1);
}

const char *uj_option_word(lua_State *L)
{
  const char *text = "";
  if (lua_type(L, -1) == LUA_TSTRING)
    text = lua_tostring(L, -1);
  return strlen(text) == lua_rawlen(L, -1) ? text : "";
}

uint64_t uj_option_count(lua_State *L, const struct uj_options *options,
                         lua_Integer min)
{
  uint64_t count = 0;
  const char *expected = read_count(L, -1, min, &count);
  if (expected != NULL)
    uj_option_error(L, options, expected);
  return count;
}
