#include "lua/stuck.h"

#include <lauxlib.h>

#include "lua/job.h"
#include "lua/sched.h"

/* [-0, +0, m] Adds the traceback of a job, and where it was spawned. */
static void add_job(struct uj_state *S, luaL_Buffer *buffer, lua_State *L,
                    struct uj_ljob *job)
{
  int idx;
  luaL_addstring(buffer, "\n\n");
  uj_job_push(S, L, job);
  idx = lua_gettop(L);
  uj_job_push_traceback(L, idx);
  lua_remove(L, idx);
  luaL_addvalue(buffer);
  uj_job_push(S, L, job);
  uj_job_get_extra(L, -1, "source");
  lua_remove(L, -2);
  if (lua_isnil(L, -1))
    lua_pop(L, 1);
  else {
    luaL_addstring(buffer, "\nspawned at, ");
    luaL_addvalue(buffer);
  }
}

static void add_jobs(struct uj_state *S, luaL_Buffer *buffer, lua_State *L,
                     struct uj_link *list)
{
  for (struct uj_link *link = list->next; link != list; link = link->next)
    add_job(S, buffer, L,
            uj_ljob_of(uj_container(link, struct uj_job, member)));
}

/* (state) */
static int make_message(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  struct uj_link *list = &S->loop.scheds, *link;
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  luaL_addstring(&buffer, "run is stuck: nothing can wake any of these jobs");
  for (link = list->next; link != list; link = link->next) {
    struct uj_sched *sched = uj_container(link, struct uj_sched, link);
    add_jobs(S, &buffer, L, &sched->jobs);
    add_jobs(S, &buffer, L, &sched->shields);
  }
  luaL_pushresult(&buffer);
  return 1;
}

void uj_stuck_push_error(struct uj_state *S, lua_State *L)
{
  lua_pushcfunction(L, make_message);
  lua_pushlightuserdata(L, S);
  (void)lua_pcall(L, 1, 1, 0); /* or the memory error */
}
