#include "lua/api/policy.h"

#include <lua.h>

#include "lua/state/state.h"
#include "random/random.h"

static int l_random(lua_State *L)
{
  lua_pushnumber(L, uj_random_fraction(uj_state(L)->random));
  return 1;
}

/* There is no continuation, and so Lua refuses to suspend inside. */
static int l_ask(lua_State *L)
{
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Where things are on the stack of rescue(). */
enum { AT_HANDLER = 1, AT_FIRST, AT_FN };

/* `ctx` is the number of values under the results. */
static int return_results(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  return lua_gettop(L) - (int)ctx;
}

/* Stack: handler, first, fn, arguments, and the error; or, when nothing has
 * failed, results. `ctx` is the number of values under those. */
static int finish(lua_State *L, int status, lua_KContext ctx)
{
  if (status == LUA_OK || status == LUA_YIELD)
    return return_results(L, status, ctx);
  lua_insert(L, AT_FN);
  lua_callk(L, (int)ctx, LUA_MULTRET, 0, return_results);
  return return_results(L, LUA_OK, 0);
}

static int l_rescue(lua_State *L)
{
  int top = lua_gettop(L);
  luaL_checkstack(L, top + 1, "too many arguments");
  for (int i = AT_FN; i <= top; i++)
    lua_pushvalue(L, i);
  return finish(L, lua_pcallk(L, top - AT_FN, LUA_MULTRET, 0, top, finish),
                top);
}

const luaL_Reg uj_policy_internals[] = {
    {"random", l_random}, {"ask", l_ask}, {"rescue", l_rescue}, {NULL, NULL}};
