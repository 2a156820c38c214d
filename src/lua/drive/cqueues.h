/* cqueues beside us, for the Lua module uvjobs.cqueues.
 *
 * Code that waits in cqueues yields a magic value and what it waits for, if it
 * believes that a controller is being stepped. So the loop runs inside a step
 * of a controller (uj_cqueues_enter), and what a job yields there goes to
 * another controller, which is ours (uj_cqueues_poll). That one is stepped when
 * its descriptor is readable or its time has come, and makes the jobs ready
 * again. */
#ifndef UJ_LUA_CQUEUES_H
#define UJ_LUA_CQUEUES_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

struct uj_cqueues {
  const void *magic; /* what cqueues yields first to poll; NULL: not there */
  int functions; /* place on the hub: a table of functions of uvjobs.cqueues */
  int fd;        /* of our controller */
  uint32_t threads; /* its coroutines, when it was stepped last */
  uint64_t due_ns;  /* when it has to be stepped at the latest */
  bool is_dirty;    /* it has to be stepped now: something was added to it */
  bool inside;      /* the loop runs in a step of cqueues */
  lua_Hook hook;    /* what our hook has replaced on the job's coroutine */
  int hook_mask;
  int hook_count;
};

/* [-0, +0, m] */
void uj_cqueues_init(struct uj_state *S, lua_State *L);

/* ---- for the loop -------------------------------------------------------- */

/* [-0, +0, -] Whether the loop has to go on inside of uj_cqueues_enter(). */
static inline bool uj_cqueues_must_enter(const struct uj_state *S)
{
  return S->cqueues->magic != NULL && !S->cqueues->inside;
}

/* [-0, +0, -] Calls go_on(S, L') in a step of cqueues, on the coroutine L' of
 * that, which is S->L meanwhile. An error is kept for run() or step() to raise.
 */
void uj_cqueues_enter(struct uj_state *S, lua_State *L,
                      void (*go_on)(struct uj_state *S, lua_State *L));

/* [-0, +0, -] Steps our controller if something has happened in it. An error is
 * kept for run() or step() to raise: it is that of a coroutine which is no
 * job's. */
void uj_cqueues_step(struct uj_state *S, lua_State *L);

/* ---- for the jobs -------------------------------------------------------- */

/* Whether a job that has yielded n values by itself waits in cqueues. */
bool uj_cqueues_is_poll(const struct uj_state *S, const struct uj_ljob *job,
                        int n);

/* [job: -n, +0, -] Parks the job until something that it polls is ready. */
void uj_cqueues_poll(struct uj_state *S, struct uj_ljob *job, int n);

/* [-0, +0, -] The job is about to be resumed after uj_cqueues_poll(). If it was
 * woken for another reason, its wait is withdrawn, and a hook raises that
 * reason before the job's next instruction. */
void uj_cqueues_go_on(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, -] Takes our hook off a coroutine that has ended. Returns whether it
 * was on: then the job had no instruction left before which it could have
 * raised. */
bool uj_cqueues_remove_hook(struct uj_state *S, lua_State *co);

/* What uvjobs.cqueues calls:
 * open(magic, descriptor, enter, poll, leave, step): see there.
 * wake(job, ...): what the job has polled is there. Returns whether the job
 * still waits, and so gets it.
 * touch(): something may have been added to the controller.
 * fail(job, error): what the job waits for cannot be polled. */
extern const luaL_Reg uj_cqueues_internals[];

#endif
