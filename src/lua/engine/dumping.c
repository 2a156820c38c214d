#include "lua/engine/dumping.h"

#include "loop/driver.h"
#include "loop/signals.h"
#include "lua/base/text.h"
#include "lua/engine/hook.h"
#include "lua/engine/nest.h"
#include "lua/engine/outside.h"
#include "lua/state/job.h"

void uj_dumping_init(struct uj_state *S, lua_State *L)
{
  lua_pushnil(L);
  S->dumping->writer = uj_hub_keep(S->hub, L);
}

/* (state, job): the job that runs, or NULL. */
static int write(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  struct uj_ljob *job = lua_touserdata(L, 2);
  uj_hub_push(S->hub, L, S->dumping->writer);
  if (job == NULL) {
    lua_call(L, 0, 0);
    return 0;
  }
  uj_ljob_push(S, L, job);
  uj_nest_push_traceback(S, L, job, 1, NULL);
  lua_call(L, 2, 0);
  return 0;
}

void uj_dumping_look(struct uj_state *S, lua_State *L)
{
  if (!uj_signals_take_dump(uj_driver_signals(S->driver)))
    return;
  lua_pushcfunction(L, write);
  lua_pushlightuserdata(L, S);
  lua_pushlightuserdata(L, S->current);
  if (uj_outside_pcall(S, L, 2) == LUA_OK)
    return;
  uj_text_write_error("a dump failed: %s\n",
                      uj_text_push(L, -1, "(%s without a text)"));
  lua_pop(L, 2);
}

static int l_set_dump_writer(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  uj_hub_set(S->hub, L, S->dumping->writer);
  return 0;
}

/* uninterrupted(fn): calls fn(). The library's own code is not interrupted in
 * any case, but once an interruption waits for its end, the hook is called
 * before each of its instructions. With many jobs that would take several times
 * as long as the look at them. */
static int l_uninterrupted(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_State *running = S->running;
  int status;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  uj_hook_set_running(S, NULL);
  status = lua_pcall(L, 0, 0, 0);
  uj_hook_set_running(S, running);
  return status == LUA_OK ? 0 : lua_error(L);
}

const luaL_Reg uj_dumping_internals[] = {{"set_dump_writer", l_set_dump_writer},
                                         {"uninterrupted", l_uninterrupted},
                                         {NULL, NULL}};
