/* A job as Lua's side has it: the userdata `uvjobs.Job`.
 *
 * While the job lives, a slot of the hub holds the userdata: so its memory
 * outlasts every pointer that the core has to it. It needs no __gc, because it
 * owns nothing else. */
#ifndef UJ_LUA_STATE_JOB_H
#define UJ_LUA_STATE_JOB_H

#include <lua.h>
#include <stdbool.h>

#include "core/job.h"
#include "lua/base/object.h"
#include "lua/state/state.h"

struct uj_scope;

#define UJ_JOB_TYPE "uvjobs.Job"

/* What the metatable of a job has besides: each scheduler has a metatable of
 * its own for its jobs, so that a job refers to it at no cost. There is room
 * for the first; the others only few schedulers have. */
enum {
  UJ_JOB_TYPE_SCHED = 1,
  UJ_JOB_TYPE_ON_START, /* see enum uj_announced */
  UJ_JOB_TYPE_ON_END
};

/* What a job of Lua can wait for besides what the core knows: uj_job::op. Its
 * texts are in engine/traceback.c. */
enum uj_lop {
  UJ_LOP_SLEEP = UJ_OP_HOST,
  UJ_LOP_AWAIT,
  UJ_LOP_WORK,  /* for a function in another thread */
  UJ_LOP_POLL,  /* for what cqueues polls */
  UJ_LOP_CLOSE, /* for `target`, which is being closed, to end */
  UJ_LOP_SHIELD,
  UJ_LOP_REPEATING, /* for a repetition to be over */
  UJ_LOP_RATE,      /* for a token of a rate */
  UJ_LOP_LIMIT,     /* for a place of a limit */
  UJ_LOP_EVENT,
  UJ_LOP_GET,
  UJ_LOP_PUT,
  UJ_LOP_CHANNEL_GET,
  UJ_LOP_CHANNEL_PUT,
  UJ_LOP_ACQUIRE,
  UJ_LOP_LOCK,
  UJ_LOP_SELECT
};

/* The user values of a job. */
enum {
  UJ_JOB_UV_VALUE = 1, /* its value, or the table of its extra fields */
  UJ_JOB_UV_ARGS       /* its arguments from here on, until it starts */
};

/* The user values of a job that is the run of a supervised child: its argument,
 * and what it keeps when it has started, too. The last ones are there only when
 * the child has a limit. Numbers are seconds. */
enum uj_job_child {
  UJ_JOB_CHILD_ARGS = 1,
  UJ_JOB_UV_CHILD = UJ_JOB_UV_ARGS + UJ_JOB_CHILD_ARGS, /* a Child of Lua */
  UJ_JOB_UV_BUSY,  /* how long it may hold the loop; or nil */
  UJ_JOB_UV_CLOSE, /* how long it has to end when a limit is over */
  UJ_JOB_UV_HELD   /* when it was closed because it has held the loop for
                      longer; or nil */
};

/* The places in the record of a child, which is a list of Lua: see
 * lua/uvjobs/supervisor/child.lua. */
enum uj_child_place {
  UJ_CHILD_NAME = 1, /* a string or false */
  UJ_CHILD_FN,
  UJ_CHILD_KIND,
  UJ_CHILD_STATE,
  UJ_CHILD_JOB,
  UJ_CHILD_PLACE,
  UJ_CHILD_SINCE,
  UJ_CHILD_MORE
};

/* What the value of an ended job is. */
enum uj_results {
  UJ_RESULTS_NONE, /* nothing yet: no results, or an error still to be made */
  UJ_RESULTS_ONE,  /* the only result, or the error */
  UJ_RESULTS_MANY  /* a table of the results, with their number in field `n` */
};

/* Packed, because users can have very many jobs and pay this size for each.
 * spawn.c makes it, with zero in all fields that follow `core`. */
struct uj_ljob {
  struct uj_object object;
  struct uj_job core;
  lua_State *co;          /* NULL before the start and after the end */
  struct uj_scope *scope; /* the innermost that holds, or NULL: see
                             engine/scopes.h */
  uint64_t parent;        /* the number of the job that spawned it; or 0 */
  uint64_t cpu_ns;        /* how long it has run; 0 when that is not timed */
  uint32_t co_slot;       /* of `co` in the pool; 0: see pool.h */
  uint32_t slot;          /* in uj_state::jobs while it lives */
  uint32_t resumes;       /* how often it was resumed */
  unsigned ninputs : 20;  /* values that its next resume passes to it: arguments
                             in the user values until it starts; then what
                             uj_ljob_hand() has put on its stack */
  unsigned nresults : 2;  /* enum uj_results */
  unsigned outcome : 2;   /* see uj_ljob_outcome() */
  bool has_extra : 1;     /* see uj_ljob_set_extra() */
  bool has_context : 1;   /* it has the extra field `context` */
  bool has_failure : 1;   /* it has the extra field `failure`: see api/job.h */
  bool is_awaited : 1;    /* run() waits for it, and raises its error */
  bool polls : 1;         /* it waits in cqueues: see cqueues.c */
  bool poll_failed : 1;   /* that has failed; the error is the job's value */
  bool repeats : 1;  /* it is an occurrence: see lua/repeating/repeating.h */
  bool is_child : 1; /* it is supervised: see lua/supervisor/children.h */
};

/* How the function of the job has ended: UJ_JOB_DONE, _FAILED or _CANCELLED; or
 * UJ_JOB_NEW before that. Two bits are enough for these. */
static inline enum uj_job_state uj_ljob_outcome(const struct uj_ljob *job)
{
  unsigned outcome = job->outcome;
  return (enum uj_job_state)(outcome == 0 ? UJ_JOB_NEW
                                          : UJ_JOB_DONE - 1 + outcome);
}

static inline void uj_ljob_set_outcome(struct uj_ljob *job,
                                       enum uj_job_state state)
{
  job->outcome = (unsigned)state - UJ_JOB_DONE + 1;
}

extern const char uj_job_tag[];

/* The job of a core job. */
static inline struct uj_ljob *uj_ljob_of(struct uj_job *core)
{
  return uj_container(core, struct uj_ljob, core);
}

/* The job in a slot if it was admitted and has not ended, and NULL otherwise.
 * It serves to go over all jobs, slot by slot, where something allocates: that
 * can run finalizers, which can end jobs. */
static inline struct uj_ljob *uj_ljob_live(struct uj_state *S, uint32_t slot)
{
  struct uj_ljob *job = uj_state_job(S, slot);
  if (job == NULL || job->core.state == UJ_JOB_NEW || uj_job_ended(&job->core))
    return NULL;
  return job;
}

/* The job at idx, or NULL when it is something else. */
struct uj_ljob *uj_ljob_to(lua_State *L, int idx);
/* The job at idx, which is one. */
static inline struct uj_ljob *uj_ljob_at(lua_State *L, int idx)
{
  return lua_touserdata(L, idx);
}
/* The job that is self; raises otherwise. */
struct uj_ljob *uj_ljob_self(lua_State *L, const char *name);

/* [-0, +0, m] Keeps the job on the top until it has ended. */
void uj_ljob_keep(struct uj_state *S, lua_State *L, struct uj_ljob *job);

/* [-0, +1, -] Pushes a job that is kept. */
void uj_ljob_push(struct uj_state *S, lua_State *L, const struct uj_ljob *job);
/* [-0, +1, -] The same where no program gets it: one that is unseen stays so,
 * see unseen.h. */
static inline void uj_ljob_push_inside(struct uj_state *S, lua_State *L,
                                       const struct uj_ljob *job)
{
  uj_slots_push(&S->jobs, L, job->slot);
}

/* [-0, +0, -] Lets go of a job that is kept. */
void uj_ljob_release(struct uj_state *S, struct uj_ljob *job);
/* [-0, +0, -] A job is not unseen any more. */
void uj_ljob_note_seen(struct uj_state *S, struct uj_ljob *job);

/* [from: -n, +0, -] Moves the n topmost values of `from` to the stack of a
 * parked job, which is resumed with them. There is always room for one; for
 * more, uj_ljob_can_take() has said so. */
void uj_ljob_hand(struct uj_ljob *job, lua_State *from, int n);

/* [-0, +0, -] Whether n values can be handed to a parked job. */
bool uj_ljob_can_take(const struct uj_ljob *job, int n);

/* [-0, +1, m] Pushes `#7 "import"` for the job at idx, or `#7` when it has no
 * name. */
void uj_ljob_push_number_and_name(lua_State *L, int idx);
/* [-0, +1, m] Pushes `job #7 "import"`. */
void uj_ljob_push_label(lua_State *L, int idx);

/* The value of a job, which is at idx. Until the job starts it is its function;
 * then still that, or what keeps its coroutine (see pool.h); and when it has
 * ended, what enum uj_results says.
 * [-0, +1, -] Pushes the value; [-1, +0, -] sets it. */
void uj_ljob_get_value(lua_State *L, const struct uj_ljob *job, int idx);
void uj_ljob_set_value(lua_State *L, const struct uj_ljob *job, int idx);

/* The extra fields are what few jobs have: name, traceback, source, context and
 * so on. They are in a table that is made with the first one.
 * [-0, +1, m] Pushes the field of the job at idx, or nil; [-1, +0, m] sets it.
 */
void uj_ljob_get_extra(lua_State *L, int idx, const char *field);
void uj_ljob_set_extra(lua_State *L, int idx, const char *field);

/* [-0, +1, m] Pushes the name of the job at idx, or nil. That of the run of a
 * child is that of the child, unless it got another one: so no run needs a
 * table for it. */
void uj_ljob_push_name(lua_State *L, int idx);

/* [-0, +0, -] One of the two limits of a job that is kept: UJ_JOB_UV_BUSY or
 * _CLOSE. When it has none, `otherwise_ns`. */
uint64_t uj_ljob_child_limit_ns(struct uj_state *S, const struct uj_ljob *job,
                                enum uj_job_child which, uint64_t otherwise_ns);
/* [-0, +0, -] How long a job gets to end when the time of somebody is over who
 * waits for it. */
uint64_t uj_ljob_close_ns(struct uj_state *S, const struct uj_ljob *job);
/* [-0, +0, -] Notes that such a job has held the loop for too long, and that it
 * is being closed now. */
void uj_ljob_note_busy(struct uj_state *S, const struct uj_ljob *job);
/* [-0, +0, -] Whether that was noted of a job that is kept. */
bool uj_ljob_is_held(struct uj_state *S, const struct uj_ljob *job);

/* [-0, +1, -] Pushes the scheduler of the job at idx. */
void uj_ljob_push_sched(lua_State *L, int idx);

#endif
