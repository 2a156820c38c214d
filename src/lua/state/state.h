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
struct uj_ljob;
struct uj_nest;
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
  UJ_HUB_NESTED,  /* table: see coroutine.c */
  UJ_HUB_WAKE,    /* what embed.c calls when a job is ready, or nil */
  UJ_HUB_CQUEUES, /* table: see cq.c; or nil */
  UJ_HUB_ERROR,   /* what run() is to raise, or nil */
  UJ_HUB_HANDLER, /* of schedulers that have none, or nil */
  UJ_HUB_PLACE,   /* where testing.c has ended a job, or nil */
  UJ_HUB_TOP = UJ_HUB_PLACE
};

#define UJ_FOREIGN_YIELD \
  "attempt to yield from a job by coroutine.yield (use uvjobs.yield)"

/* A coroutine that waits for its next job. */
struct uj_thread {
  lua_State *co;
  uint32_t slot; /* in uj_pool::slots */
};

/* See pool.h. */
struct uj_pool {
  struct uj_slots slots;  /* the coroutines that are used again and again */
  struct uj_thread *idle; /* those without a job */
  uint32_t nidle;
  uint32_t idle_size; /* places in `idle`: at least as many as used slots */
  uint32_t used;      /* coroutines with a job */
  uint32_t peak;      /* the most of them since the last burst was over */
  uint64_t old_id;    /* of the last job that was there then */
};

/* How a job that does not suspend is interrupted. */
enum uj_interrupt_mode {
  UJ_INTERRUPT_NONE,
  UJ_INTERRUPT_SIGNAL, /* by the monitor */
  UJ_INTERRUPT_COUNT   /* by a hook that is always on */
};

enum { UJ_OWN_SOURCES = 32 };

/* See interrupt.c. */
struct uj_interrupt {
  struct uj_watch watch;
  enum uj_interrupt_mode mode;
  bool started;
  bool main_at_work;    /* the main job was interrupted, not its wait */
  volatile bool asked;  /* the hook is to be set on what runs */
  volatile bool moving; /* it is being set: the signal handler keeps away */
  lua_State *hooked;    /* what it is set on, or NULL */
  lua_Hook user_hook;   /* what was there before */
  int user_mask;
  int user_count;
  const char *own[UJ_OWN_SOURCES]; /* sources of the library, or NULL */
  uint64_t stretch_tick; /* the stretch that stretch_ns and counted are of */
  uint64_t stretch_ns;
  uint64_t counted;   /* instructions */
  bool exact;         /* asked for at an exact virtual time, and not by the real
                         one: what happens in virtual time depends on no other */
  uint64_t slow_ns;   /* to report a job after; or UJ_NEVER */
  bool never_slow;    /* not in debug mode either */
  uint64_t slow_tick; /* the stretch that was reported */
  uint64_t held_tick; /* that in which what is to be raised is held off */
  uint64_t stubborn_ns;   /* since when it is so in this stretch: */
  uint64_t stubborn_tick; /* that could not be preempted when it had to be */
  uint64_t jump_tick;     /* that jump_ns is for */
  uint64_t jump_ns;       /* when the virtual clock jumps */
  unsigned signals;       /* see uj_driver_signals() */
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
  uint64_t slow_ns; /* see struct uj_interrupt */
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
  struct uj_pool pool;
  uint64_t virtual_ns;    /* the virtual clock */
  uint64_t looked_ns;     /* when run() looked at I/O last */
  uint64_t looked_ticks;  /* uj_driver_ticks() when it looked at the clock */
  uint64_t clock_ns;      /* what the clock said then */
  int signal;             /* the signal that cancelled the main job, or 0 */
  uint64_t kill_until_ns; /* see kill.c */
  uint64_t kill_count;
  int kill_depth;
  lua_State *kill_inner;
  lua_CFunction pcall; /* Lua's own */
  lua_CFunction xpcall;
  bool in_hookerror; /* see hookerror.c */
  bool kill_begun;
  bool killing;         /* the current job is ended by force */
  struct uj_nest *nest; /* of `running`, or NULL for the job's own coroutine */
  bool chain_yields;    /* what resumed `running` lets it suspend the job */
  struct uj_interrupt interrupt;
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
