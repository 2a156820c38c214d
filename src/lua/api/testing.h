/* What uvjobs.testing needs of the module: which jobs live and where they were
 * spawned; the exception handler of schedulers that have none; and ending a job
 * where it suspends for the n-th time. */
#ifndef UJ_LUA_TESTING_H
#define UJ_LUA_TESTING_H

#include <lauxlib.h>
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

/* For testing.lua:
 * jobs(): a list of the jobs that live.
 * source(job): where the job was spawned, in debug mode; or nil.
 * set_handler(handler): sets the exception handler of schedulers that have
 * none, or nil for the default report; returns the one before.
 * is_virtual(): whether the clock is virtual.
 * is_settled(): whether no job is ready and no timer is due, here and in the
 * threads of workers, so that only the calling job keeps time from passing.
 * due(seconds): the time so long from now, as a number for step()
 * and force_at().
 * step(due): suspends until the next deadline of any job, in any thread, or
 * until that time when it comes first; returns whether that time has come.
 * on_deadline(fn): fn() is called whenever a deadline is raised in the main
 * job, before the error is, and in the job that holds the loop when the time of
 * force_at() has come; nil for nothing.
 * force_at(due): from then on every job can be preempted.
 * inject(job, n, by_force): the job is closed when it suspends for the n-th
 * time; by force, without any time to end.
 * injected(): the traceback of the job there, or nil when that has not
 * happened. */
extern const luaL_Reg uj_testing_internals[];

#endif
