/* How a job that does not suspend is reached.
 *
 * Somebody asks: the monitor's signal, a count hook, or who lets a job go on
 * that was cancelled while it was preempted. Then a hook is set on the
 * coroutine that runs, or on the next one of the job that does; it fires before
 * the next instruction, and there what is to be done is done: deadlines expire,
 * an error is raised, the job is preempted or reported. A hook of the user's
 * own is put aside meanwhile, is called first, and comes back. */
#ifndef UJ_LUA_INTERRUPT_H
#define UJ_LUA_INTERRUPT_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/state/state.h"

/* What a run asks for, until uj_interrupt_stop(): `mode`, `watch.signal` and
 * `slow_ns` of S->interrupt are set. Where there can be no monitor instructions
 * are counted. */
void uj_interrupt_start(struct uj_state *S);
void uj_interrupt_stop(struct uj_state *S);

/* A scheduler with slices was made. */
void uj_interrupt_add_slice(struct uj_state *S, uint64_t slice_ns);

/* Moves the hook to the coroutine that runs now, or away when it is NULL. */
void uj_interrupt_move(struct uj_state *S, lua_State *co);

/* `co` is the coroutine that runs now; NULL: none of a job does. */
static inline void uj_interrupt_run(struct uj_state *S, lua_State *co)
{
  S->running = co;
  if (S->interrupt.asked || S->killing)
    uj_interrupt_move(S, co);
}

/* The current job has got another deadline, or a reason to end. Before its
 * first interruption nothing has to be done; later the monitor has to know. */
void uj_interrupt_limits_changed(struct uj_state *S);

/* The current job goes on that was preempted. */
void uj_interrupt_go_on(struct uj_state *S);

/* [-0, +0, -] Gives a coroutine the hook that it has as long as nothing happens
 * to its job: that of the caller of run(), and ours when instructions are
 * counted. */
void uj_interrupt_reset_hook(struct uj_state *S, lua_State *co, bool counted);

/* Whether the instructions of jobs of this scheduler are counted. */
bool uj_interrupt_counts(const struct uj_state *S,
                         const struct uj_sched *sched);

/* Whether this is the library's own source. */
bool uj_interrupt_is_own(const struct uj_state *S, const char *source);

/* For Lua: () the source of the calling function is the library's own: it is
 * not interrupted between two instructions of it. */
int uj_interrupt_own_source(lua_State *L);
/* For cli.lua: () whether the main job was last told to end while it worked. */
int uj_interrupt_main_at_work(lua_State *L);

#endif
