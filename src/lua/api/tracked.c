#include "lua/api/tracked.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

#include "lua/base/inside.h"
#include "lua/base/transfer.h"

enum { FAILED = -1 };

/* The upvalues of the functions. */
enum { UP_TRACKED = 1, UP_EXPECTED };

/* Those of what wrap() returns. The coroutine comes first, as in Lua's own,
 * because there are debuggers that ask for it. */
enum { UP_COROUTINE = 1, UP_WRAPPED_TRACKED };

static struct uj_tracked *tracked_at(lua_State *L, int upvalue)
{
  return lua_touserdata(L, lua_upvalueindex(upvalue));
}

static lua_State *check_coroutine(lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  if (co == NULL)
    luaL_typeerror(L, 1, lua_tostring(L, lua_upvalueindex(UP_EXPECTED)));
  return co;
}

/* [-nargs, +n, m] Resumes with the values on the top. Returns how many came
 * out; or FAILED, with the error on the top. */
static int resume(lua_State *L, struct uj_tracked *tracked, lua_State *co,
                  int nargs)
{
  int status, n;
  if (!uj_transfer_arguments(L, co, nargs))
    return FAILED;
  status = uj_resume_tracked(tracked, co, L, nargs, &n);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return FAILED;
  }
  return uj_transfer_results(L, co, n) ? n : FAILED;
}

/* coroutine.resume(co, ...) */
static int l_resume(lua_State *L)
{
  lua_State *co = check_coroutine(L);
  int n = resume(L, tracked_at(L, UP_TRACKED), co, lua_gettop(L) - 1);
  lua_pushboolean(L, n != FAILED);
  if (n == FAILED) {
    lua_insert(L, -2);
    return 2;
  }
  lua_insert(L, -(n + 1));
  return n + 1;
}

/* The function that wrap() returns. An error closes the coroutine, as with
 * Lua's own. */
static int l_wrapped(lua_State *L)
{
  lua_State *co = lua_tothread(L, lua_upvalueindex(UP_COROUTINE));
  struct uj_tracked *tracked = tracked_at(L, UP_WRAPPED_TRACKED);
  int status, n = resume(L, tracked, co, lua_gettop(L));
  if (n != FAILED)
    return n;
  status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) { /* it has failed by itself */
    status = uj_resume_close_tracked(tracked, co, L);
    lua_xmove(co, L, 1);
  }
  return uj_transfer_raise(L, status);
}

/* coroutine.wrap(fn) */
static int l_wrap(lua_State *L)
{
  lua_State *co;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushvalue(L, lua_upvalueindex(UP_TRACKED));
  lua_pushcclosure(L, l_wrapped, 2);
  return 1;
}

/* What keeps a coroutine from being closed: "running" or "normal"; or NULL. */
static const char *busy_state(lua_State *L, lua_State *co)
{
  lua_Debug ar;
  if (co == L)
    return "running";
  if (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar) != 0)
    return "normal";
  return NULL;
}

/* coroutine.close(co) */
static int l_close(lua_State *L)
{
  lua_State *co =
      UJ_INSIDE_CLOSES_ITSELF && lua_isnone(L, 1) ? L : check_coroutine(L);
  const char *state = busy_state(L, co);
  if (UJ_INSIDE_CLOSES_ITSELF && co == L)
    return uj_resume_close_itself(L);
  if (state != NULL)
    return luaL_error(L, "cannot close a %s coroutine", state);
  return uj_transfer_closed(
      L, co, uj_resume_close_tracked(tracked_at(L, UP_TRACKED), co, L));
}

/* ---- in place of Lua's own ------------------------------------------------
 */

/* The stack of open(). */
enum { AT_TRACKED = 1, AT_TABLE, AT_OWN, AT_EXPECTED };

/* Whether the table has Lua's own function. Another one, of a profiler for
 * instance, stays. */
static bool is_own(lua_State *L, const char *name)
{
  lua_CFunction function, own;
  lua_getfield(L, AT_TABLE, name);
  lua_getfield(L, AT_OWN, name);
  function = lua_tocfunction(L, -2);
  own = lua_tocfunction(L, -1);
  lua_pop(L, 2);
  return function != NULL && function == own;
}

/* [-0, +1, m] Pushes what Lua's own functions call a coroutine when they get
 * something else: "thread" or "coroutine", according to the release. */
static void push_expected(lua_State *L)
{
  const char *text;
  lua_getfield(L, AT_OWN, "resume");
  (void)lua_pcall(L, 0, 0, 0);
  text = lua_tostring(L, -1);
  if (text != NULL && strstr(text, "(thread expected") != NULL)
    lua_pushliteral(L, "thread");
  else
    lua_pushliteral(L, "coroutine");
  lua_remove(L, -2);
}

/* (tracked, coroutine) */
static int open(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"resume", l_resume}, {"wrap", l_wrap}, {"close", l_close}, {NULL, NULL}};
  lua_pushcfunction(L, luaopen_coroutine);
  lua_call(L, 0, 1);
  push_expected(L);
  for (const luaL_Reg *at = functions; at->name != NULL; at++) {
    if (!is_own(L, at->name))
      continue;
    lua_pushvalue(L, AT_TRACKED);
    lua_pushvalue(L, AT_EXPECTED);
    lua_pushcclosure(L, at->func, 2);
    lua_setfield(L, AT_TABLE, at->name);
  }
  return 0;
}

void uj_tracked_open(lua_State *L, struct uj_tracked *tracked)
{
  lua_pushcfunction(L, open);
  lua_pushlightuserdata(L, tracked);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_COLIBNAME);
  lua_remove(L, -2);
  if (lua_istable(L, -1))
    lua_call(L, 2, 0);
  else
    lua_pop(L, 3);
}
