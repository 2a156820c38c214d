/* The Lua side of a scheduler: userdata `uvjobs.Scheduler`. Each of its jobs
 * refers to it, so it lives as long as any of them. */
#ifndef UJ_LUA_SCHED_H
#define UJ_LUA_SCHED_H

#include <lua.h>
#include <stdbool.h>

#include "core/sched.h"
#include "lua/job.h"
#include "lua/state.h"

#define UJ_SCHED_TYPE "uvjobs.Scheduler"

/* The user values of a scheduler. */
enum {
  UJ_SCHED_UV_HANDLER = 1, /* the exception handler, or nil */
  UJ_SCHED_UV_NAME,
  UJ_SCHED_UV_ERROR, /* a nursery's first error, see has_error */
  UJ_SCHED_UV_COUNT = UJ_SCHED_UV_ERROR
};

struct uj_lsched {
  const void *tag; /* &uj_sched_tag */
  struct uj_sched core;
  bool nursery;   /* the first job that fails closes it */
  bool has_error; /* UJ_SCHED_UV_ERROR is the error of that job */
};

extern const char uj_sched_tag;

static inline struct uj_lsched *uj_lsched_of(struct uj_sched *core)
{
  return uj_container(core, struct uj_lsched, core);
}

/* [-0, +1, m] Pushes a new scheduler with the default limits. */
struct uj_lsched *uj_sched_new(struct uj_state *S, lua_State *L);

/* [-(nargs + 2), +1, m] Replaces the scheduler, a function and its arguments on
 * the top by a new job, not yet admitted. `name` is the calling function. */
struct uj_ljob *uj_sched_new_job(struct uj_state *S, lua_State *L,
                                 struct uj_lsched *sched, int nargs,
                                 const char *name);

/* uvjobs.scheduler([opts]) */
int uj_sched_scheduler(lua_State *L);

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_sched_open(lua_State *L);

#endif
