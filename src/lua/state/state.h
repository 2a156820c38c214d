/* All that belongs to one Lua state: one userdata, in its registry and the
 * first upvalue of every function of the module. There is no other global.
 *
 * What must not be collected while the core or C refers to it hangs on a
 * hidden coroutine, the hub, which is never resumed: a stack to work on when
 * no Lua function of ours is running. Only what cannot fail is done on it. */
#ifndef UJ_LUA_STATE_H
#define UJ_LUA_STATE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "loop/monitor.h"
#include "lua/base/hub.h"
#include "lua/base/slots.h"

struct uj_driver;
struct uj_heap;
struct uj_hook;
struct uj_hookerror;
struct uj_interrupt;
struct uj_killing;
struct uj_ljob;
struct uj_nest;
struct uj_own;
struct uj_pool;
struct uj_stretch;
struct uj_workers;

/* The user values of the state: the hub, and the types that Lua adds to. */
enum { UJ_STATE_UV_HUB = 1, UJ_STATE_UV_TYPES };

/* What lies on the hub's stack. */
enum uj_hub {
  UJ_HUB_JOBS = 1,      /* coroutine: of uj_state::jobs */
  UJ_HUB_POOL,          /* coroutine: of uj_pool::slots */
  UJ_HUB_JOB_TYPE,      /* table: the metatable of jobs */
  UJ_HUB_LOADED,        /* table: package.loaded */
  UJ_HUB_NO_MEMORY,     /* string: an error that cannot be made when needed */
  UJ_HUB_FOREIGN_YIELD, /* string: the same */
  UJ_HUB_LUV_NAME,      /* string: "luv" */
  UJ_HUB_NOWAIT,        /* string: "nowait" */
  UJ_HUB_LUV, /* nil at first, from here on: table of the functions of luv that
                 we call */
  UJ_HUB_LONGEST, /* the job of the longest stretch, or nil */
  UJ_HUB_NESTED,  /* table: see nest.h */
  UJ_HUB_WAKE,    /* what embed.c calls when a job is ready, or nil */
  UJ_HUB_CQUEUES, /* table: see cq.c; or nil */
  UJ_HUB_ERROR,   /* what run() is to raise, or nil */
  UJ_HUB_HANDLER, /* of schedulers that have none, or nil */
  UJ_HUB_PLACE,   /* where testing.c has ended a job, or nil */
  UJ_HUB_TOP = UJ_HUB_PLACE
};

#define UJ_FOREIGN_YIELD \
  "attempt to yield from a job by coroutine.yield (use uvjobs.yield)"

/* How a job that does not suspend is interrupted. */
enum uj_interrupt_mode {
  UJ_INTERRUPT_NONE,
  UJ_INTERRUPT_SIGNAL, /* by the monitor */
  UJ_INTERRUPT_COUNT   /* by a hook that is always on */
};

/* For uvjobs.stats(). */
struct uj_stats {
  uint64_t longest_ns; /* with `timed`: the longest stretch; UJ_HUB_LONGEST has
                          its job */
  bool timed;          /* every stretch is */
};

/* What run() is told about the loop, or start() for the loops of others. */
struct uj_drive_options {
  enum uj_interrupt_mode mode;
  int signal;       /* for UJ_INTERRUPT_SIGNAL */
  uint64_t slow_ns; /* see struct uj_stretch */
  bool never_slow;
  bool timed;    /* see struct uj_stats */
  bool shuffles; /* see struct uj_loop */
  uint64_t seed;
};

/* See cq.c. */
struct uj_cqueues {
  const void *magic; /* what cqueues yields first to poll; NULL: not there */
  int fd;            /* of its controller */
  uint32_t waits;    /* jobs that wait in it */
  uint32_t threads;  /* its coroutines, when it was stepped last */
  bool dirty;        /* its controller has to be stepped */
  bool inside;       /* the loop runs in a step of cqueues */
  uint64_t due_ns;   /* when it has to be stepped, at the latest */
  lua_Hook hook;     /* of the job that is told something by a hook of ours */
  int mask;
  int count;
};

/* See testing.h. */
struct uj_fault {
  struct uj_ljob *job; /* that it is for, or NULL */
  uint32_t at;         /* which suspension */
  bool kill;
};

struct uj_state {
  struct uj_loop loop;        /* first: see uj_state_of() */
  const struct uj_heap *heap; /* of the Lua state, or NULL: see memory.h */
  lua_State *hub;
  lua_State *L; /* the coroutine that called run() or step(); NULL outside */
  lua_State *volatile running; /* the coroutine of the current job that runs */
  struct uj_ljob *current;     /* the job that runs now, or NULL */
  struct uj_ljob *main;        /* the main job, or NULL outside run() */
  struct uj_driver *driver;    /* NULL until run() needs one */
  struct uj_workers *workers;  /* NULL until work() needs them */
  uint32_t working;            /* jobs that wait in work() */
  struct uj_slots jobs;        /* the jobs that live */
  uint64_t virtual_ns;         /* the virtual clock */
  uint64_t looked_ns;          /* when run() looked at I/O last */
  uint64_t looked_ticks;     /* uj_driver_ticks() when it looked at the clock */
  uint64_t clock_ns;         /* what the clock said then */
  int signal;                /* the signal that cancelled the main job, or 0 */
  bool killing;              /* the current job is being ended by force */
  volatile bool hook_wanted; /* on `running`: see hook.h */
  struct uj_nest *nest;  /* of `running`, or NULL for the job's own coroutine */
  bool chain_yields;     /* what resumed `running` lets it suspend the job */
  struct uj_watch watch; /* its ticks count the stretches of jobs */

  /* The parts of the engine, in the same userdata as this record. Each struct
   * stands in its owner's header. */
  struct uj_pool *pool;
  struct uj_hook *hook;
  struct uj_stretch *stretch;
  struct uj_own *own;
  struct uj_hookerror *hookerror;
  struct uj_killing *kill;
  struct uj_interrupt *interrupt;

  struct uj_stats stats;
  struct uj_drive_options embed; /* for step() */
  bool embedded;    /* somebody else's loop drives us, when run() does not */
  bool luv_is_host; /* luv's loop is not ours to drive */
  struct uj_cqueues cqueues;
  struct uj_fault fault;
  bool is_virtual; /* which clock */
  bool debug;
  bool dead; /* the Lua state is closing: everything is released */
};

/* Where the registry keeps it. */
extern const char uj_state_key;

/* The state of the function that runs. Raises when the Lua state is closing. */
struct uj_state *uj_state(lua_State *L);

/* [-0, +0, -] The same where it is no upvalue: in hooks, message handlers and
 * metamethods. It does not raise. */
struct uj_state *uj_state_registered(lua_State *L);

/* The state of a loop. */
static inline struct uj_state *uj_state_of(struct uj_loop *loop)
{
  return (struct uj_state *)loop; /* its first member */
}

/* [-1, +0, -] Keeps the first error that run() or step() is to raise. */
void uj_state_keep_error(struct uj_state *S, lua_State *L);
/* Raises what was kept. */
int uj_state_raise_kept(struct uj_state *S, lua_State *L);

/* The job in a slot, or NULL. */
struct uj_ljob *uj_state_job(struct uj_state *S, uint32_t slot);

#endif
