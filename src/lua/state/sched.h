/* A scheduler as Lua's side has it: the userdata `uvjobs.Scheduler`, and its
 * record. The metatable of its jobs refers to the userdata, so both live as
 * long as any of them. */
#ifndef UJ_LUA_STATE_SCHED_H
#define UJ_LUA_STATE_SCHED_H

#include <lua.h>
#include <stdbool.h>

#include "core/sched.h"
#include "lua/base/record.h"
#include "lua/state/job.h"
#include "lua/state/state.h"

struct uj_scope;
struct uj_series;

#define UJ_SCHED_TYPE "uvjobs.Scheduler"

/* The user values of a scheduler. */
enum {
  UJ_SCHED_UV_HANDLER = UJ_RECORD_UV + 1, /* the exception handler, or nil */
  UJ_SCHED_UV_NAME,
  UJ_SCHED_UV_JOB_TYPE, /* the metatable of its jobs, which also holds the
                           functions of enum uj_announced */
  UJ_SCHED_UV_SCOPE,    /* keeps `scope` */
  UJ_SCHED_UV_COUNT = UJ_SCHED_UV_SCOPE
};

/* The user values of its record: what `core.order` refers to. */
enum {
  UJ_SCHED_RECORD_UV_ORDER = 1,
  UJ_SCHED_RECORD_UV_KEYS, /* the table of the keys of its jobs, or nil */
  UJ_SCHED_RECORD_UV_COUNT = UJ_SCHED_RECORD_UV_KEYS
};

/* The functions that are called when a job of the scheduler starts or ends.
 * Few schedulers have any. So they are in the metatable of its jobs, where they
 * take no room otherwise. */
enum uj_announced {
  UJ_ANNOUNCED_START = UJ_JOB_TYPE_ON_START,
  UJ_ANNOUNCED_END = UJ_JOB_TYPE_ON_END
};

struct uj_lsched {
  struct uj_record record; /* in uj_state::records, since uj_loop::scheds refers
                              to `core` */
  struct uj_sched core;
  uint64_t cpu_ns;          /* how long its jobs have run; 0 when that is not
                               timed */
  struct uj_ljob *failed;   /* that job, kept until its error is raised or
                               reported; or NULL */
  struct uj_series *series; /* its histograms, or NULL: see
                               measure/series.h */
  struct uj_scope *scope; /* of a nursery whose block runs: is interrupted when
                             it fails; or NULL */
};

extern const char uj_sched_tag[];

/* The scheduler of a core scheduler. */
static inline struct uj_lsched *uj_lsched_of(struct uj_sched *core)
{
  return uj_container(core, struct uj_lsched, core);
}

/* The scheduler at idx, or NULL when it is something else. */
static inline struct uj_lsched *uj_lsched_to(lua_State *L, int idx)
{
  return uj_record_to(L, idx, uj_sched_tag);
}
/* The scheduler at idx, which is one. */
static inline struct uj_lsched *uj_lsched_at(lua_State *L, int idx)
{
  return uj_record_at(L, idx);
}
/* The scheduler that is self; raises otherwise. */
static inline struct uj_lsched *uj_lsched_self(lua_State *L, const char *name)
{
  return uj_record_self(L, uj_sched_tag, name);
}

/* [-0, +1, m] Pushes a list of the jobs that a scheduler has now, and of its
 * shielded ones if they are wanted. */
void uj_lsched_push_jobs(struct uj_state *S, lua_State *L,
                         struct uj_lsched *sched, bool shields);

/* [-0, +1, m] Pushes a new scheduler with the default limits. */
struct uj_lsched *uj_lsched_new(struct uj_state *S, lua_State *L);

/* [-0, +1, -] Pushes a function of the scheduler at idx, or nil. */
void uj_lsched_push_announced(lua_State *L, int idx, enum uj_announced what);

/* [-1, +0, m] Makes the function on the top one of the scheduler at idx. */
void uj_lsched_set_announced(lua_State *L, int idx, enum uj_announced what);

#endif
