#include "lua/api/policy.h"

#include <lua.h>

#include "lua/base/args.h"
#include "lua/engine/suspend.h"
#include "lua/state/state.h"
#include "random/random.h"

static int l_random(lua_State *L)
{
  lua_pushnumber(L, uj_random_fraction(uj_state(L)->random));
  return 1;
}

/* ---- calling ------------------------------------------------------------- */

/* `ctx` is the number of values under the results. */
static int return_results(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  return lua_gettop(L) - (int)ctx;
}

/* Stack: self, fn, arguments. In Lua the checks would take as long as all the
 * rest. */
static int policy_call(lua_State *L)
{
  static const struct uj_callee callee = {"call", 1};
  struct uj_state *S = uj_state(L);
  if (lua_gettop(L) == 0)
    lua_pushnil(L);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TFUNCTION)
    return uj_arg_selferror(L, callee.name, "uvjobs.Policy");
  lua_replace(L, 1);
  uj_arg_function(L, &callee, 2);
  uj_suspend_check(S, L, callee.name);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, return_results);
  return lua_gettop(L);
}

/* Stack: runs. */
static int l_caller(lua_State *L)
{
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_pushcclosure(L, policy_call, 2);
  return 1;
}

/* There is no continuation, and so Lua refuses to suspend inside. */
static int l_consult(lua_State *L)
{
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Where things are on the stack of rescue(). */
enum { AT_HANDLER = 1, AT_FIRST, AT_FN };

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

/* The upvalues of a rescuer, beside the state. */
enum { UP_COUNTER = 2, UP_HANDLER, UP_FIRST, UP_INNER, UP_COUNT = UP_INNER };

/* Calls the handler. Stack: arguments, and the error; or, when nothing has
 * failed, results. `ctx` is the number of values under those. */
static int rescued(lua_State *L, int status, lua_KContext ctx)
{
  int extra;
  if (status == LUA_OK || status == LUA_YIELD)
    return return_results(L, status, ctx);
  extra = lua_isnil(L, lua_upvalueindex(UP_INNER)) ? 0 : 1;
  lua_pushvalue(L, lua_upvalueindex(UP_HANDLER));
  lua_pushvalue(L, lua_upvalueindex(UP_FIRST));
  lua_pushvalue(L, -3);
  if (extra != 0)
    lua_pushvalue(L, lua_upvalueindex(UP_INNER));
  for (int i = 1; i <= (int)ctx; i++)
    lua_pushvalue(L, i);
  lua_callk(L, (int)ctx + 2 + extra, LUA_MULTRET, ctx + 1, return_results);
  return return_results(L, LUA_OK, ctx + 1);
}

/* So many arguments can be copied twice on the stack that a function gets. */
enum { FEW_ARGUMENTS = LUA_MINSTACK / 3 };

/* Stack: arguments. They stay where they are, for the handler. `extra` is 1
 * when the function is an upvalue, and otherwise 0: then it is the first of
 * them. */
static inline int call_rescued(lua_State *L, int extra)
{
  lua_Integer *counter = lua_touserdata(L, lua_upvalueindex(UP_COUNTER));
  int top = lua_gettop(L), nargs = top - 1 + extra;
  *counter += 1;
  if (top > FEW_ARGUMENTS)
    luaL_checkstack(L, top + LUA_MINSTACK, "too many arguments");
  if (extra != 0)
    lua_pushvalue(L, lua_upvalueindex(UP_INNER));
  for (int i = 1; i <= top; i++)
    lua_pushvalue(L, i);
  return rescued(L, lua_pcallk(L, nargs, LUA_MULTRET, 0, top, rescued), top);
}

static int rescuer(lua_State *L)
{
  return call_rescued(L, 0);
}

static int rescuer_around(lua_State *L)
{
  return call_rescued(L, 1);
}

/* Stack: counter, handler, first, inner or nil. */
static int l_rescuer(lua_State *L)
{
  lua_CFunction function;
  lua_settop(L, 4);
  function = lua_isnil(L, 4) ? rescuer : rescuer_around;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_pushcclosure(L, function, UP_COUNT);
  return 1;
}

static int l_counter(lua_State *L)
{
  lua_Integer *counter = lua_newuserdatauv(L, sizeof(*counter), 0);
  *counter = 0;
  return 1;
}

static int l_counted(lua_State *L)
{
  lua_Integer *counter = lua_touserdata(L, 1);
  *counter += luaL_optinteger(L, 2, 0);
  lua_pushinteger(L, *counter);
  return 1;
}

const luaL_Reg uj_policy_internals[] = {
    {"caller", l_caller},   {"random", l_random},
    {"consult", l_consult}, {"rescue", l_rescue},
    {"rescuer", l_rescuer}, {"counter", l_counter},
    {"counted", l_counted}, {NULL, NULL}};
