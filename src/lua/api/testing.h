/* What uvjobs.testing needs of the module: which jobs live and where they were
 * spawned; who hears of what no handler was set for; and a job that is ended
 * when it suspends for the n-th time. */
#ifndef UJ_LUA_TESTING_H
#define UJ_LUA_TESTING_H

#include <lua.h>

#include "lua/state/state.h"

/* A job that a test ends where it suspends for the n-th time. */
struct uj_fault {
  struct uj_ljob *job; /* NULL when there is none, or when it is done */
  uint32_t suspension; /* which one */
  bool by_force;
  int place; /* place on the hub: the traceback of the job there, or nil */
};

/* [-0, +0, m] */
void uj_testing_init(struct uj_state *S, lua_State *L);

/* [-0, +0, -] The job of the fault has suspended. */
void uj_testing_suspended(struct uj_state *S, struct uj_ljob *job);

/* A job has ended. */
static inline void uj_testing_ended(struct uj_state *S,
                                    const struct uj_ljob *job)
{
  if (S->fault->job == job)
    S->fault->job = NULL;
}

/* For testing.lua.
 * () the jobs that live: a list. */
int uj_testing_jobs(lua_State *L);
/* (job) where it was spawned, in debug mode; or nil. */
int uj_testing_source(lua_State *L);
/* (handler or nil): for schedulers that have none; returns the one before. */
int uj_testing_set_handler(lua_State *L);
/* () whether the clock is virtual. */
int uj_testing_is_virtual(lua_State *L);
/* (job, n, kill): when it suspends for the n-th time, it is closed; with `kill`
 * without any time to end. */
int uj_testing_inject(lua_State *L);
/* () the traceback of the job when that happened, or nil when it has not. */
int uj_testing_injected(lua_State *L);

#endif
