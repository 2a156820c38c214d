#include "lua/base/options.h"

#include <math.h>
#include <string.h>

#include "lua/base/nearest.h"
#include "lua/base/seconds.h"

/* [-0, +1, m] Pushes "known: a, b". */
static const char *push_known(lua_State *L, const struct uj_option *known)
{
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "known: ");
  for (const struct uj_option *option = known; option->name; option++) {
    if (option != known)
      luaL_addstring(&b, ", ");
    luaL_addstring(&b, option->name);
  }
  luaL_pushresult(&b);
  return lua_tostring(L, -1);
}

/* [-0, +1, m] Pushes what to say about a name that is not known. */
static const char *push_hint(lua_State *L, const struct uj_option *known,
                             const char *key)
{
  struct uj_nearest nearest = uj_nearest_to(key);
  for (const struct uj_option *option = known; option->name; option++)
    uj_nearest_try(&nearest, option->name);
  if (uj_nearest_is_near(&nearest))
    return lua_pushfstring(L, "did you mean '%s'?", nearest.name);
  return push_known(L, known);
}

_Noreturn static void unknown_option(lua_State *L,
                                     const struct uj_options_table *options)
{
  const char *message;
  if (lua_type(L, -2) == LUA_TSTRING) {
    const char *key = lua_tostring(L, -2);
    message = lua_pushfstring(L, "unknown option '%s', %s", key,
                              push_hint(L, options->known, key));
  } else {
    const char *got = luaL_tolstring(L, -2, NULL);
    message = lua_pushfstring(L, "unknown option [%s], %s", got,
                              push_known(L, options->known));
  }
  uj_arg_error(L, options->callee, options->idx, message);
}

/* The option whose name is below the top of the stack; raises when there is
 * none. */
static const struct uj_option *find_option(lua_State *L,
                                           struct uj_options_table *options)
{
  size_t length;
  const char *key;
  if (lua_type(L, -2) != LUA_TSTRING)
    unknown_option(L, options);
  key = lua_tolstring(L, -2, &length);
  for (const struct uj_option *o = options->known; o->name != NULL; o++)
    if (strlen(o->name) == length && strcmp(o->name, key) == 0)
      return o;
  unknown_option(L, options);
}

void uj_options_read(lua_State *L, const struct uj_callee *callee, int idx,
                     const struct uj_option *known, void *into)
{
  struct uj_options_table options = {
      .callee = callee, .idx = idx, .known = known};
  luaL_checkstack(L, LUA_MINSTACK, "options");
  lua_pushnil(L);
  while (lua_next(L, idx)) {
    const struct uj_option *option = find_option(L, &options);
    options.name = option->name;
    option->take(L, &options, into);
    lua_pop(L, 1);
  }
}

int uj_option_error(lua_State *L, const struct uj_options_table *options,
                    const char *expected)
{
  const char *got = uj_arg_push_got(L, lua_gettop(L));
  uj_arg_error(L, options->callee, options->idx,
               lua_pushfstring(L, "option '%s': %s expected, got %s",
                               options->name, expected, got));
}

static bool is_huge(lua_State *L)
{
  return lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) == HUGE_VAL;
}

static bool is_duration(lua_State *L)
{
  return lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) >= 0;
}

uint64_t uj_option_seconds(lua_State *L, const struct uj_options_table *options)
{
  if (!is_duration(L))
    uj_option_error(L, options, "seconds >= 0 or math.huge");
  return uj_seconds_to_ns(lua_tonumber(L, -1));
}

uint64_t uj_option_finite_seconds(lua_State *L,
                                  const struct uj_options_table *options)
{
  if (is_huge(L))
    uj_option_error(L, options, "finite seconds >= 0");
  if (!is_duration(L))
    uj_option_error(L, options, "seconds >= 0");
  return uj_seconds_to_ns(lua_tonumber(L, -1));
}

uint64_t uj_option_slice(lua_State *L, const struct uj_options_table *options)
{
  if (is_huge(L))
    return UJ_NEVER;
  if (!is_duration(L) || lua_tonumber(L, -1) == 0)
    uj_option_error(L, options, "seconds > 0 or math.huge");
  return uj_seconds_to_ns(lua_tonumber(L, -1));
}

bool uj_option_boolean(lua_State *L, const struct uj_options_table *options)
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

uint64_t uj_option_count(lua_State *L, const struct uj_options_table *options,
                         lua_Integer min)
{
  uint64_t count = 0;
  const char *expected = uj_arg_read_count(L, -1, min, &count);
  if (expected != NULL)
    uj_option_error(L, options, expected);
  return count;
}
