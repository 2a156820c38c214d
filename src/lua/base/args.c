#include "lua/base/args.h"

#include <math.h>
#include <stdlib.h>

#include "lua/base/seconds.h"

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
  if (lua_type(L, idx) == LUA_TNUMBER && lua_tonumber(L, idx) == HUGE_VAL)
    return UJ_NEVER;
  return uj_arg_finite_seconds(L, callee, idx);
}

uint64_t uj_arg_finite_seconds(lua_State *L, const struct uj_callee *callee,
                               int idx)
{
  const char *wrong = uj_arg_push_wrong_seconds(L, idx);
  if (wrong != NULL)
    uj_arg_error(L, callee, idx, wrong);
  return uj_seconds_to_ns(lua_tonumber(L, idx));
}

const char *uj_arg_read_count(lua_State *L, int idx, lua_Integer min,
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

const char *uj_arg_push_got(lua_State *L, int idx)
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
  const char *expected = uj_arg_read_count(L, idx, min, &count);
  if (expected != NULL)
    uj_arg_error(L, callee, idx,
                 lua_pushfstring(L, "%s expected, got %s", expected,
                                 uj_arg_push_got(L, idx)));
  return count;
}

void uj_arg_push_count(lua_State *L, uint64_t count)
{
  if (count == UINT64_MAX)
    lua_pushnumber(L, HUGE_VAL);
  else
    lua_pushinteger(L, (lua_Integer)count);
}
