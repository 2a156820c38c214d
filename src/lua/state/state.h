/* What uvjobs has of one Lua state. It is one userdata, which the registry
 * keeps and which is the first upvalue of every function of the module; there
 * is no other global. lifetime.c makes and ends it.
 *
 * The record has what every part needs: what runs, the clock, and the jobs.
 * What only one part needs is in a struct in the header of that part. Lua
 * values that C refers to are kept on the hub, see hub.h. */
#ifndef UJ_LUA_STATE_H
#define UJ_LUA_STATE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "loop/monitor.h"
#include "lua/base/hub.h"
#include "lua/base/slots.h"

struct uj_alarms;
struct uj_channels;
struct uj_closing;
struct uj_covers;
struct uj_cqueues;
struct uj_date;
struct uj_driver;
struct uj_dumping;
struct uj_embed;
struct uj_ending;
struct uj_fault;
struct uj_heap;
struct uj_hook;
struct uj_hookerror;
struct uj_insight;
struct uj_inspecting;
struct uj_interrupt;
struct uj_killing;
struct uj_ljob;
struct uj_luv;
struct uj_member;
struct uj_meter;
struct uj_nest;
struct uj_outer;
struct uj_own;
struct uj_pace;
struct uj_pool;
struct uj_profiling;
struct uj_random;
struct uj_rates;
struct uj_repeats;
struct uj_services;
struct uj_stretch;
struct uj_tracked;
struct uj_unseen;
struct uj_work;

/* The user values of the state: the hub, and the types to which Lua code adds
 * methods. */
enum { UJ_STATE_UV_HUB = 1, UJ_STATE_UV_TYPES };

/* Places on the hub that several parts use. A part that needs one for itself
 * gets it from uj_hub_keep(). */
enum uj_hub {
  UJ_HUB_JOB_TYPE = 1,  /* table: the metatable of jobs */
  UJ_HUB_LOADED,        /* table: package.loaded */
  UJ_HUB_NO_MEMORY,     /* string: an error that cannot be made when needed */
  UJ_HUB_FOREIGN_YIELD, /* string: the same */
  UJ_HUB_JOB_FIELDS,    /* table: see make_job_type(); or nil */
  UJ_HUB_NESTED,        /* table: see nest.h */
  UJ_HUB_WATCHED,       /* table: see watchers.h */
  UJ_HUB_DEADLINE,      /* function: see uj_suspend_push_error(); or nil */
  UJ_HUB_ERROR,         /* what run() or step() is to raise, or nil */
  UJ_HUB_HANDLER, /* function: handler of schedulers without one; or nil */
  UJ_HUB_TYPES,   /* table: see unseen.h */
  UJ_HUB_TOP = UJ_HUB_TYPES
};

#define UJ_FOREIGN_YIELD \
  "attempt to yield from a job by coroutine.yield (use uvjobs.yield)"

struct uj_state {
  struct uj_loop loop;        /* first: see uj_state_of() */
  const struct uj_heap *heap; /* of the Lua state, or NULL: see allocator.h */
  lua_State *hub;
  lua_State *L; /* the coroutine that called run() or step(); NULL outside */
  struct uj_driver *driver; /* NULL until something needs to wait */
  struct uj_slots jobs;     /* the jobs that live */
  struct uj_unseen *unseen; /* and records that are used again */
  struct uj_slots records;  /* what lists of C refer to: see base/record.h */

  /* What runs. */
  lua_State *volatile running; /* the coroutine of the current job that runs */
  lua_State *volatile native;  /* what runs in its place, a coroutine that
                                  Lua's own functions have resumed; or NULL */
  struct uj_ljob *current;     /* the job that runs now, or NULL */
  struct uj_ljob *main;        /* the main job, or NULL outside run() */
  struct uj_nest *nest; /* of `running`, or NULL for the job's own coroutine */
  bool chain_yields;    /* what resumed `running` lets it suspend the job */
  bool killing;         /* the current job is being ended by force */
  volatile bool hook_wanted; /* on `running`: see hook.h */
  struct uj_watch watch;     /* its ticks count the stretches of jobs */

  /* The clock. */
  bool is_virtual;
  uint64_t virtual_ns; /* the time, if so */
  uint64_t nvirtual;   /* runs under a virtual clock so far */

  uint64_t default_slice_ns; /* of schedulers that ask for none; or 0 */

  uint32_t nwatched; /* sources of all watches: see engine/watchers.h */
  bool debug;
  bool measures;  /* the times of jobs: see measure/meter.h */
  bool dead;      /* the Lua state is closing: everything is released */
  bool has_fault; /* perhaps a supervisor is to be ended: see
                     supervisor/children.h */

  /* The parts, in the same userdata as this record. Each struct stands in the
   * header of its owner. */
  struct uj_covers *covers;
  struct uj_tracked *tracked;
  struct uj_pool *pool;
  struct uj_slots *threads; /* of the pool: the coroutines that it keeps */
  struct uj_hook *hook;
  struct uj_stretch *stretch;
  struct uj_own *own;
  struct uj_hookerror *hookerror;
  struct uj_killing *kill;
  struct uj_ending *ending;
  struct uj_outer *outer;
  struct uj_dumping *dumping;
  struct uj_interrupt *interrupt;
  struct uj_meter *meter;
  struct uj_profiling *profiling;
  struct uj_insight *insight;
  struct uj_inspecting *inspecting;
  struct uj_fault *fault;
  struct uj_date *date;
  struct uj_alarms *alarms;
  struct uj_repeats *repeats;
  struct uj_random *random; /* what is random in a run takes from it */
  struct uj_rates *rates;
  struct uj_closing *closing;
  struct uj_work *work;
  struct uj_services *services;
  struct uj_member *member; /* of a crew, see service/crew.h; or NULL */
  struct uj_channels *channels;
  struct uj_pace *pace;
  struct uj_embed *embed;
  struct uj_luv *luv;
  struct uj_cqueues *cqueues;
};

/* The registry has the state at the address of this. */
extern const char uj_state_key;

/* The state of the function that runs. Raises when the Lua state is closing. */
struct uj_state *uj_state(lua_State *L);

/* [-0, +0, -] The same for functions that do not have it as an upvalue, like
 * hooks, message handlers and some metamethods. It does not raise. */
struct uj_state *uj_state_registered(lua_State *L);

/* Which clock the times of now are of: 0 for the real one. Each run under the
 * virtual clock has one of its own, which begins at 0. */
static inline uint64_t uj_state_clock(const struct uj_state *S)
{
  return S->is_virtual ? S->nvirtual : 0;
}

/* The state of a loop. */
static inline struct uj_state *uj_state_of(struct uj_loop *loop)
{
  return (struct uj_state *)loop; /* its first member */
}

/* [-1, +0, -] Keeps an error that run() or step() is to raise; only the first
 * one is kept. */
void uj_state_keep_error(struct uj_state *S, lua_State *L);
/* [-1, +0, -] The same for the error of a call, with this status, that can fail
 * for lack of memory, which its caller copes with. What else it raises is of a
 * hook that was set before the run, like the one by which the interpreter ends
 * at SIGINT: that is kept, because nobody else would hear of it. Returns
 * whether it was one of those. */
bool uj_state_keep_hook_error(struct uj_state *S, lua_State *L, int status);
static inline bool uj_state_has_error(const struct uj_state *S)
{
  return !uj_hub_is_nil(S->hub, UJ_HUB_ERROR);
}
/* Raises the error that was kept. */
int uj_state_raise_kept(struct uj_state *S, lua_State *L);

/* The job in a slot, or NULL. */
struct uj_ljob *uj_state_job(struct uj_state *S, uint32_t slot);

#endif
