#include "lua/api/debug.h"

#include "lua/base/args.h"
#include "lua/state/state.h"

/* debug(on) */
static int l_debug(lua_State *L)
{
  static const struct uj_callee callee = {"debug", 0};
  struct uj_state *S = uj_state(L);
  if (!lua_isboolean(L, 1))
    return uj_arg_typeerror(L, &callee, 1, "boolean");
  lua_pushboolean(L, S->debug);
  S->debug = lua_toboolean(L, 1);
  return 1;
}

static int l_here(lua_State *L)
{
  if (!uj_state(L)->debug)
    return 0;
  luaL_traceback(L, L, NULL, 1);
  return 1;
}

const luaL_Reg uj_debug_functions[] = {{"debug", l_debug}, {NULL, NULL}};

const luaL_Reg uj_debug_internals[] = {{"here", l_here}, {NULL, NULL}};
