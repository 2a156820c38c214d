#include "lua/drive/luv.h"

#include <lauxlib.h>

#include "core/clock.h"
#include "loop/driver.h"

#define NS_PER_MS UINT64_C(1000000)

/* The functions that we call, in the table at uj_luv::functions. */
enum { LUV_RUN = 1, LUV_ALIVE, LUV_TIMEOUT, LUV_FD, LUV_UPDATE, LUV_MODE };

static const char *const names[] = {[LUV_RUN] = "run",
                                    [LUV_ALIVE] = "loop_alive",
                                    [LUV_TIMEOUT] = "backend_timeout",
                                    [LUV_FD] = "backend_fd",
                                    [LUV_UPDATE] = "update_time",
                                    [LUV_MODE] = "loop_mode"};

/* ---- finding it ---------------------------------------------------------- */

void uj_luv_init(struct uj_state *S, lua_State *L)
{
  lua_pushnil(L);
  S->luv->functions = uj_hub_keep(S->hub, L);
  lua_pushliteral(L, "luv");
  S->luv->name = uj_hub_keep(S->hub, L);
  lua_pushliteral(L, "nowait");
  S->luv->nowait = uj_hub_keep(S->hub, L);
}

/* (luv, state): keeps the functions, if all of them are there. */
static int keep_functions(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 2);
  lua_newtable(L);
  for (int i = LUV_RUN; i <= LUV_MODE; i++) {
    if (lua_getfield(L, 1, names[i]) != LUA_TFUNCTION)
      return 0;
    lua_rawseti(L, -2, i);
  }
  uj_hub_set(S->hub, L, S->luv->functions);
  S->luv->nforks = uj_driver_count_forks();
  return 0;
}

/* [-0, +0, -] Whether luv is loaded. When it is, we have its functions. */
static bool is_loaded(struct uj_state *S, lua_State *L)
{
  bool found;
  int status;
  if (!uj_hub_is_nil(S->hub, S->luv->functions))
    return true;
  uj_hub_push(S->hub, L, UJ_HUB_LOADED);
  uj_hub_push(S->hub, L, S->luv->name);
  found = lua_rawget(L, -2) == LUA_TTABLE;
  lua_remove(L, -2);
  if (!found) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushcfunction(L, keep_functions);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, S);
  status = lua_pcall(L, 2, 0, 0);
  if (status != LUA_OK)
    (void)uj_state_keep_hook_error(S, L, status);
  return !uj_hub_is_nil(S->hub, S->luv->functions);
}

void uj_luv_find(struct uj_state *S, lua_State *L)
{
  S->luv->is_driven = !S->luv->is_host && is_loaded(S, L) &&
                      S->luv->nforks == uj_driver_count_forks();
}

/* ---- its functions ------------------------------------------------------- */

/* [-0, +1, -] Calls a function of luv without arguments, or with what is on the
 * hub at `arg`: an argument that had to be made here could fail to be. Returns
 * LUA_OK; or another status, with the error on the top. */
static int call(struct uj_state *S, lua_State *L, int function, int arg)
{
  uj_hub_push(S->hub, L, S->luv->functions);
  lua_rawgeti(L, -1, function);
  lua_remove(L, -2);
  if (arg == 0)
    return lua_pcall(L, 0, 1, 0);
  uj_hub_push(S->hub, L, arg);
  return lua_pcall(L, 1, 1, 0);
}

/* [-0, +(0|1), -] Calls a function that only tells something; returns whether
 * there is a result. An error can only be that of a hook, like the one by which
 * the interpreter ends at SIGINT. It must not be lost. */
static bool query(struct uj_state *S, lua_State *L, int function)
{
  if (call(S, L, function, 0) == LUA_OK)
    return true;
  uj_state_keep_error(S, L);
  return false;
}

static lua_Integer query_integer(struct uj_state *S, lua_State *L, int function)
{
  int is_integer = 0;
  lua_Integer result = -1;
  if (query(S, L, function)) {
    result = lua_tointegerx(L, -1, &is_integer);
    lua_pop(L, 1);
  }
  return is_integer ? result : -1;
}

bool uj_luv_alive(struct uj_state *S, lua_State *L)
{
  struct uj_luv *self = S->luv;
  self->is_alive = false;
  if (self->is_driven && query(S, L, LUV_ALIVE)) {
    self->is_alive = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  return self->is_alive;
}

uint64_t uj_luv_due(struct uj_state *S, lua_State *L, int *fd)
{
  lua_Integer timeout_ms;
  *fd = -1;
  if (!S->luv->is_alive)
    return UJ_NEVER;
  timeout_ms = query_integer(S, L, LUV_TIMEOUT);
  *fd = (int)query_integer(S, L, LUV_FD);
  if (timeout_ms < 0)
    return UJ_NEVER;
  return uj_clock_add(uj_driver_now(), (uint64_t)timeout_ms * NS_PER_MS);
}

void uj_luv_find_host(struct uj_state *S, lua_State *L)
{
  S->luv->is_host = false;
  if (is_loaded(S, L) && query(S, L, LUV_MODE)) {
    S->luv->is_host = !lua_isnil(L, -1);
    lua_pop(L, 1);
  }
}

void uj_luv_run(struct uj_state *S, lua_State *L)
{
  if (call(S, L, LUV_RUN, S->luv->nowait) == LUA_OK)
    lua_pop(L, 1);
  else
    uj_state_keep_error(S, L);
}

void uj_luv_update_time(struct uj_state *S, lua_State *L)
{
  if (S->luv->is_driven && query(S, L, LUV_UPDATE))
    lua_pop(L, 1);
}

/* ---- for Lua ------------------------------------------------------------- */

/* luv_walk(walk, fn): calls luv's walk(fn) in the main coroutine, because
 * luv 1.50 and 1.51 take `fn` from the stack of that one, whoever has called
 * it. luv calls callbacks there, too, while another coroutine runs. */
static int l_luv_walk(lua_State *L)
{
  lua_State *main;
  lua_settop(L, 2);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  main = lua_tothread(L, -1);
  lua_pop(L, 1);
  if (main == L) {
    lua_call(L, 1, 0);
    return 0;
  }
  if (!lua_checkstack(main, LUA_MINSTACK))
    return luaL_error(L, "not enough memory");
  lua_xmove(L, main, 2);
  if (lua_pcall(main, 1, 0, 0) == LUA_OK)
    return 0;
  lua_xmove(main, L, 1);
  return lua_error(L);
}

const luaL_Reg uj_luv_internals[] = {{"luv_walk", l_luv_walk}, {NULL, NULL}};
