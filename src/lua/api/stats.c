#include "lua/api/stats.h"

#include <lauxlib.h>

#include "core/sched.h"
#include "core/turn.h"
#include "lua/api/work.h"
#include "lua/base/seconds.h"
#include "lua/measure/meter.h"
#include "lua/state/state.h"
#include "memory/heap.h"

static void set_count(lua_State *L, const char *field, uint64_t count)
{
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, field);
}

static uint64_t count_live(const struct uj_loop *loop)
{
  uint64_t count = 0;
  const struct uj_link *list = &loop->scheds;
  for (struct uj_link *link = list->next; link != list; link = link->next)
    count += uj_container(link, struct uj_sched, link)->nlive;
  return count;
}

static int l_stats(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_createtable(L, 0, 11);
  set_count(L, "turns", S->loop.turns);
  set_count(L, "spawned", S->loop.spawned);
  set_count(L, "resumes", uj_watch_count_runs(&S->watch));
  set_count(L, "preemptions", S->loop.preemptions);
  set_count(L, "live", count_live(&S->loop));
  set_count(L, "ready", uj_loop_count_ready(&S->loop));
  set_count(L, "timers", S->loop.timers.count);
  set_count(L, "work", uj_work_count(S));
  set_count(L, "heap", S->heap != NULL ? uj_heap_committed(S->heap) : 0);
  if (S->meter->longest_ns > 0) {
    uj_seconds_push(L, S->meter->longest_ns);
    lua_setfield(L, -2, "longest");
    uj_hub_push(S->hub, L, S->meter->longest_job);
    lua_setfield(L, -2, "longest_job");
  }
  return 1;
}

const luaL_Reg uj_stats_functions[] = {{"stats", l_stats}, {NULL, NULL}};
