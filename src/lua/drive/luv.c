#include "lua/drive/luv.h"

#include <lauxlib.h>

#include "core/clock.h"
#include "loop/driver.h"

#define NS_PER_MS UINT64_C(1000000)

/* The functions that we call, in the table at UJ_HUB_LUV. */
enum { LUV_RUN = 1, LUV_ALIVE, LUV_TIMEOUT, LUV_FD, LUV_UPDATE, LUV_MODE };

static const char *const names[] = {[LUV_RUN] = "run",
                                    [LUV_ALIVE] = "loop_alive",
                                    [LUV_TIMEOUT] = "backend_timeout",
                                    [LUV_FD] = "backend_fd",
                                    [LUV_UPDATE] = "update_time",
                                    [LUV_MODE] = "loop_mode"};

/* (luv): keeps its functions on the hub. */
static int keep_functions(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 2);
  lua_newtable(L);
  for (int i = LUV_RUN; i <= LUV_MODE; i++) {
    if (lua_getfield(L, 1, names[i]) != LUA_TFUNCTION)
      return 0;
    lua_rawseti(L, -2, i);
  }
  uj_hub_set(S->hub, L, UJ_HUB_LUV);
  return 0;
}

/* It may have been loaded since the last look. */
bool uj_luv_loaded(struct uj_state *S, lua_State *L)
{
  bool found;
  if (!uj_hub_is_nil(S->hub, UJ_HUB_LUV))
    return true;
  uj_hub_push(S->hub, L, UJ_HUB_LOADED);
  uj_hub_push(S->hub, L, UJ_HUB_LUV_NAME);
  found = lua_rawget(L, -2) == LUA_TTABLE;
  lua_remove(L, -2);
  if (!found) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushcfunction(L, keep_functions);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, S);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK)
    lua_pop(L, 1);
  return !uj_hub_is_nil(S->hub, UJ_HUB_LUV);
}

/* [-0, +1, -] Calls a function of luv without arguments, or with what is on the
 * hub at `arg`: what would allocate could fail here. */
static int call(struct uj_state *S, lua_State *L, int function, int arg)
{
  uj_hub_push(S->hub, L, UJ_HUB_LUV);
  lua_rawgeti(L, -1, function);
  lua_remove(L, -2);
  if (arg == 0)
    return lua_pcall(L, 0, 1, 0);
  uj_hub_push(S->hub, L, arg);
  return lua_pcall(L, 1, 1, 0);
}

/* [-0, +(0|1), -] Returns whether there is a result. What comes out of luv's
 * functions that only tell something is the error of a hook: that of the
 * interpreter for SIGINT. It must not be lost. */
static bool ask(struct uj_state *S, lua_State *L, int function)
{
  if (call(S, L, function, 0) == LUA_OK)
    return true;
  uj_state_keep_error(S, L);
  return false;
}

static lua_Integer call_integer(struct uj_state *S, lua_State *L, int function)
{
  int is_integer = 0;
  lua_Integer result = -1;
  if (ask(S, L, function)) {
    result = lua_tointegerx(L, -1, &is_integer);
    lua_pop(L, 1);
  }
  return is_integer ? result : -1;
}

bool uj_luv_alive(struct uj_state *S, lua_State *L)
{
  bool alive = false;
  if (ask(S, L, LUV_ALIVE)) {
    alive = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  return alive;
}

bool uj_luv_running(struct uj_state *S, lua_State *L)
{
  bool running = false;
  if (ask(S, L, LUV_MODE)) {
    running = !lua_isnil(L, -1);
    lua_pop(L, 1);
  }
  return running;
}

int uj_luv_run(struct uj_state *S, lua_State *L)
{
  int status = call(S, L, LUV_RUN, UJ_HUB_NOWAIT);
  if (status == LUA_OK)
    lua_pop(L, 1);
  return status;
}

void uj_luv_update_time(struct uj_state *S, lua_State *L)
{
  if (ask(S, L, LUV_UPDATE))
    lua_pop(L, 1);
}

uint64_t uj_luv_due(struct uj_state *S, lua_State *L, int *fd)
{
  lua_Integer timeout_ms = call_integer(S, L, LUV_TIMEOUT);
  *fd = (int)call_integer(S, L, LUV_FD);
  if (timeout_ms < 0)
    return UJ_NEVER;
  return uj_clock_add(uj_driver_now(), (uint64_t)timeout_ms * NS_PER_MS);
}
