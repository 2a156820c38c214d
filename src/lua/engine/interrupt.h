/* What is done to a job that does not suspend, in a debug hook between two of
 * its instructions: deadlines expire, an error is raised in it, it is preempted
 * or reported.
 *
 * The hook is set by the monitor's signal, or by whoever lets a job go on that
 * was cancelled while it was preempted (hook.h); where there is no monitor, and
 * for slices under the virtual clock, a hook that counts instructions is always
 * on. Since when the job runs, and when it is looked at next, is in
 * stretch.h. */
#ifndef UJ_LUA_ENGINE_INTERRUPT_H
#define UJ_LUA_ENGINE_INTERRUPT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/engine/hook.h"
#include "lua/state/state.h"

struct uj_interrupt {
  bool started;
  bool sampled;      /* the hook has taken a sample */
  bool main_at_work; /* the main job was interrupted, not its wait */
  unsigned signals;  /* that had come when the count hook last looked */
};

/* The library's hooks, for struct uj_hook. */
extern const struct uj_hooks uj_interrupt_hooks;

/* What a run asks for, until uj_interrupt_stop(): the mode, the monitor's
 * signal and `slow_ns` are set. Where there can be no monitor instructions are
 * counted. */
void uj_interrupt_start(struct uj_state *S);
void uj_interrupt_stop(struct uj_state *S);

/* A run in a worker's function that was stopped: its jobs are interrupted from
 * now on even if the run had asked for none of it, or they would never end. */
void uj_interrupt_insist(struct uj_state *S);

/* A scheduler with slices was made. */
void uj_interrupt_add_slice(struct uj_state *S, uint64_t slice_ns);

/* main_at_work(): whether the last error that told the main job to end was
 * raised while it worked, and not while it waited. */
extern const luaL_Reg uj_interrupt_internals[];

#endif
