#include "lua/engine/hookerror.h"

#include <lauxlib.h>

#include "lua/base/inside.h"
#include "lua/engine/own.h"
#include "lua/engine/resume.h"

/* How deep a message handler is searched for: to reach a level, Lua walks
 * through all that are above it. */
enum { LEVELS = 500 };

/* [-0, +(0|1), -] Pushes the message handler that an error would meet, if it is
 * a function of Lua, and sets `ar` to its xpcall(). A handler in C is expected
 * to come back. */
static bool push_handler(const struct uj_state *S, lua_State *L, lua_Debug *ar)
{
  lua_CFunction function = NULL;
  for (int level = 0; level < LEVELS && lua_getstack(L, level, ar); level++) {
    lua_getinfo(L, "f", ar);
    function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    if (function != NULL &&
        (function == S->hookerror->pcall || function == S->hookerror->xpcall))
      break;
  }
  if (function == NULL || function != S->hookerror->xpcall ||
      lua_getlocal(L, ar, UJ_INSIDE_XPCALL_HANDLER) == NULL)
    return false;
  if (lua_isfunction(L, -1) && !lua_iscfunction(L, -1))
    return true;
  lua_pop(L, 1);
  return false;
}

static bool is_own(const struct uj_state *S, lua_State *L)
{
  lua_Debug ar;
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">S", &ar);
  return uj_own_has(S, ar.source);
}

/* (error): a handler that does nothing. */
static int pass(lua_State *L)
{
  lua_settop(L, 1);
  return 1;
}

/* (error): calls the handler in a coroutine of its own, where hooks work. It
 * cannot suspend the job there. */
static int call_apart(struct uj_state *S, lua_State *L)
{
  lua_State *co = lua_newthread(L);
  bool yields = S->chain_yields;
  int nresults, status;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 2);
  S->chain_yields = false;
  status = uj_resume_nested(S, co, L, 1, &nresults);
  S->chain_yields = yields;
  if (status == LUA_OK) {
    lua_settop(co, 1);
    lua_xmove(co, L, 1);
  } else
    lua_settop(L, 1);
  return 1;
}

/* (error): stands in for the handler, which is upvalue 1. It keeps the place of
 * the handler for the errors that follow, which are not of a hook. */
static int stand_in(lua_State *L)
{
  struct uj_state *S = uj_state_registered(L);
  lua_settop(L, 1);
  if (S->hookerror->raised) {
    S->hookerror->raised = false;
    return call_apart(S, L);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

int uj_hookerror_raise(struct uj_state *S, lua_State *L, bool again)
{
  lua_Debug ar;
  if (!push_handler(S, L, &ar))
    return lua_error(L);
  if (again) {
    lua_pop(L, 1);
    lua_pushcfunction(L, pass);
  } else if (is_own(S, L)) {
    lua_pop(L, 1);
    return lua_error(L);
  } else {
    lua_pushcclosure(L, stand_in, 1);
    S->hookerror->raised = true;
  }
  lua_setlocal(L, &ar, UJ_INSIDE_XPCALL_HANDLER);
  return lua_error(L);
}

static lua_CFunction find(lua_State *L, const char *name)
{
  lua_CFunction function;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_GNAME);
  lua_getfield(L, -1, name);
  function = lua_tocfunction(L, -1);
  lua_pop(L, 3);
  return function;
}

void uj_hookerror_register(struct uj_state *S, lua_State *L)
{
  S->hookerror->pcall = find(L, "pcall");
  S->hookerror->xpcall = find(L, "xpcall");
}
