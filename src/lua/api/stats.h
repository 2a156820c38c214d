/* uvjobs.stats(): what the loop has done, and what it holds. */
#ifndef UJ_LUA_STATS_H
#define UJ_LUA_STATS_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

struct uj_stats {
  bool timed;          /* stretches of jobs are timed */
  uint64_t longest_ns; /* the longest stretch so far */
  int longest_job;     /* place on the hub: the job of that stretch, or nil */
};

/* [-0, +0, m] */
void uj_stats_init(struct uj_state *S, lua_State *L);

/* [-0, +0, -] A job has run since begin_ns without suspending. */
void uj_stats_add_stretch(struct uj_state *S, struct uj_ljob *job,
                          uint64_t begin_ns);

/* [-0, +0, -] Forgets the longest stretch so far, as when a run begins. */
void uj_stats_forget_longest(struct uj_state *S);

/* uvjobs.stats() */
extern const luaL_Reg uj_stats_functions[];

#endif
