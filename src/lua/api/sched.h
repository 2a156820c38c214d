/* The Lua side of a scheduler: userdata `uvjobs.Scheduler`. Each of its jobs
 * refers to it, so it lives as long as any of them. */
#ifndef UJ_LUA_SCHED_H
#define UJ_LUA_SCHED_H

#include <lua.h>
#include <stdbool.h>

#include "core/sched.h"
#include "lua/state/job.h"
#include "lua/state/state.h"

#define UJ_SCHED_TYPE "uvjobs.Scheduler"

/* The user values of a scheduler. */
enum {
  UJ_SCHED_UV_HANDLER = 1, /* the exception handler, or nil */
  UJ_SCHED_UV_NAME,
  UJ_SCHED_UV_JOB_TYPE, /* the metatable of its jobs */
  UJ_SCHED_UV_COUNT = UJ_SCHED_UV_JOB_TYPE
};

struct uj_lsched {
  struct uj_counted_object object;
  struct uj_sched core;
  bool nursery;           /* the first job that fails closes it */
  struct uj_ljob *failed; /* that job, kept until its error is raised or
                             reported; or NULL */
};

static inline struct uj_lsched *uj_lsched_of(struct uj_sched *core)
{
  return uj_container(core, struct uj_lsched, core);
}

/* The scheduler at idx, which is one. */
struct uj_sched *uj_lsched_at(lua_State *L, int idx);

/* [-0, +1, m] Pushes a new scheduler with the default limits. */
struct uj_lsched *uj_lsched_new(struct uj_state *S, lua_State *L);

/* [-0, +1, m] Pushes a new job, not yet admitted: of the scheduler at `at`, for
 * the function at `fn` and the arguments above it. `name` is the calling
 * function. */
struct uj_ljob *uj_lsched_new_job(struct uj_state *S, lua_State *L, int at,
                                  int fn, const char *name);

/* [-0, +0, -] A job failed and nobody asked for its error: a nursery closes.
 * Returns false when it is no nursery, or has failed already. */
bool uj_lsched_fail(struct uj_ljob *job);

/* [-0, +0, -] Reports the errors of nurseries that nobody waited for. */
void uj_lsched_report_failed(struct uj_state *S);

/* For init.lua: (scheduler) raises the error of a nursery that failed, or
 * reports it; nothing happens otherwise. */
int uj_lsched_raise_failed(lua_State *L);
int uj_lsched_report_nursery(lua_State *L);
/* For Lua: (scheduler) closes it, and keeps the error of a nursery. */
int uj_lsched_close_quietly(lua_State *L);
/* For Lua: (scheduler, timeout) wait_and_close() for who is sure to close it:
 * it is closed as soon as the wait is interrupted, before the caller runs. */
int uj_lsched_wait_and_leave(lua_State *L);
/* For concurrent.lua: (scheduler) the same, but it is not closed in the end,
 * and the error of a nursery is not raised. */
int uj_lsched_wait_until_idle(lua_State *L);
/* For concurrent.lua: (scheduler) ends the wait of all that wait so. */
int uj_lsched_wake_idle(lua_State *L);
/* For init.lua: (scheduler) closes it without waiting. */
int uj_lsched_begin_close(lua_State *L);

/* uvjobs.scheduler([opts]) */
int uj_lsched_scheduler(lua_State *L);

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_lsched_register(lua_State *L);

#endif
