#include "lua/api/stats.h"

#include <lauxlib.h>

#include "core/sched.h"
#include "core/turn.h"
#include "loop/driver.h"
#include "lua/api/work.h"
#include "lua/base/seconds.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"
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

void uj_stats_init(struct uj_state *S, lua_State *L)
{
  lua_pushnil(L);
  S->stats->longest_job = uj_hub_keep(S->hub, L);
}

void uj_stats_add_stretch(struct uj_state *S, struct uj_ljob *job,
                          uint64_t begin_ns)
{
  uint64_t span_ns = uj_driver_now() - begin_ns;
  job->cpu_ns += span_ns;
  uj_lsched_of(job->core.sched)->cpu_ns += span_ns;
  if (span_ns <= S->stats->longest_ns)
    return;
  S->stats->longest_ns = span_ns;
  uj_ljob_push(S, S->hub, job);
  lua_replace(S->hub, S->stats->longest_job);
}

void uj_stats_forget_longest(struct uj_state *S)
{
  S->stats->longest_ns = 0;
  uj_hub_clear(S->hub, S->stats->longest_job);
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
  if (S->stats->longest_ns > 0) {
    uj_seconds_push(L, S->stats->longest_ns);
    lua_setfield(L, -2, "longest");
    uj_hub_push(S->hub, L, S->stats->longest_job);
    lua_setfield(L, -2, "longest_job");
  }
  return 1;
}

const luaL_Reg uj_stats_functions[] = {{"stats", l_stats}, {NULL, NULL}};
