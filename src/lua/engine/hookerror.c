#include "lua/engine/hookerror.h"

#include <lauxlib.h>

#include "lua/engine/interrupt.h"
#include "lua/host.h"

/* Where xpcall() has its message handler. */
enum { XPCALL_HANDLER = 2 };

/* How deep it is searched for: reaching a level takes as long as there are
 * above it. */
enum { LEVELS = 500 };

/* [-0, +(0|1), -] Pushes the message handler that an error would meet, when it
 * is a function of Lua, and sets `ar` to its xpcall(). What is written in C is
 * taken to come back. */
static bool push_handler(const struct uj_state *S, lua_State *L, lua_Debug *ar)
{
  lua_CFunction function = NULL;
  for (int level = 0; level < LEVELS && lua_getstack(L, level, ar); level++) {
    lua_getinfo(L, "f", ar);
    function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    if (function != NULL && (function == S->pcall || function == S->xpcall))
      break;
  }
  if (function == NULL || function != S->xpcall ||
      lua_getlocal(L, ar, XPCALL_HANDLER) == NULL)
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
  return uj_interrupt_is_own(S, ar.source);
}

/* (error): a handler that does nothing. */
static int pass(lua_State *L)
{
  lua_settop(L, 1);
  return 1;
}

/* (error): calls the handler in a coroutine of its own, where hooks work. */
static int call_apart(struct uj_state *S, lua_State *L)
{
  lua_State *co = lua_newthread(L);
  bool yields = S->chain_yields;
  int nresults, status;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 2);
  S->chain_yields = false;
  status = uj_host_resume_nested(S, co, L, 1, &nresults);
  S->chain_yields = yields;
  if (status == LUA_OK) {
    lua_settop(co, 1);
    lua_xmove(co, L, 1);
  } else
    lua_settop(L, 1);
  return 1;
}

/* In place of a handler, which is upvalue 1. It stays there for other errors.
 */
static int stand_in(lua_State *L)
{
  struct uj_state *S = uj_state_registered(L);
  lua_settop(L, 1);
  if (S->in_hookerror) {
    S->in_hookerror = false;
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
    S->in_hookerror = true;
  }
  lua_setlocal(L, &ar, XPCALL_HANDLER);
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
  S->pcall = find(L, "pcall");
  S->xpcall = find(L, "xpcall");
}
