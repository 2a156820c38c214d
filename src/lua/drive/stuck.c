#include "lua/drive/stuck.h"

#include <lauxlib.h>

#include "lua/engine/traceback.h"
#include "lua/state/job.h"

/* [-0, +0, m] Adds the traceback of a job, and where it was spawned. */
static void add_job(struct uj_state *S, luaL_Buffer *buffer, lua_State *L,
                    struct uj_ljob *job)
{
  int idx;
  luaL_addstring(buffer, "\n\n");
  uj_ljob_push(S, L, job);
  idx = lua_gettop(L);
  uj_traceback_push(L, idx);
  uj_ljob_get_extra(L, idx, "source");
  if (!lua_isnil(L, -1)) {
    lua_pushfstring(L, "%s\nspawned at, %s", lua_tostring(L, -2),
                    lua_tostring(L, -1));
    lua_replace(L, -3);
  }
  lua_pop(L, 1);
  lua_remove(L, idx);
  luaL_addvalue(buffer);
}

/* (state): makes the message. */
static int make_message(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  luaL_addstring(&buffer, "run is stuck: nothing can wake any of these jobs");
  for (uint32_t slot = 1; slot < S->jobs.next; slot++) {
    struct uj_ljob *job = uj_ljob_live(S, slot);
    if (job != NULL)
      add_job(S, &buffer, L, job);
  }
  luaL_pushresult(&buffer);
  return 1;
}

void uj_stuck_push_error(struct uj_state *S, lua_State *L)
{
  lua_pushcfunction(L, make_message);
  lua_pushlightuserdata(L, S);
  (void)lua_pcall(L, 1, 1, 0);
}
