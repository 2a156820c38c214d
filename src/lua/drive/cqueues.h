/* cqueues beside us, for uvjobs/cqueues.lua.
 *
 * Code that waits in cqueues yields a magic value and what it waits for, if it
 * believes that a controller is being stepped. So the loop runs inside a step
 * of one (uj_cqueues_enter), and what a job yields so goes to a controller that
 * is ours (uj_cqueues_poll). That one is stepped when its descriptor is
 * readable or its time has come, and makes the jobs ready again. */
#ifndef UJ_LUA_CQ_H
#define UJ_LUA_CQ_H

#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* [-0, +0, -] Whether `go_on` is to be called by uj_cqueues_enter() now. */
static inline bool uj_cqueues_must_enter(const struct uj_state *S)
{
  return S->cqueues.magic != NULL && !S->cqueues.inside;
}

/* [-0, +(0|1), -] Calls go_on(L) with the light userdata `arg`, on another
 * coroutine, in a step of cqueues. Returns LUA_OK, or another status with the
 * error on the top. */
int uj_cqueues_enter(struct uj_state *S, lua_State *L, lua_CFunction go_on,
                     void *arg);

/* Whether a job that has yielded n values by itself waits in cqueues. */
bool uj_cqueues_is_poll(const struct uj_state *S, const struct uj_ljob *job,
                        int n);

/* [job: -n, +0, -] Parks it until what it polls is there. */
void uj_cqueues_poll(struct uj_state *S, struct uj_ljob *job, int n);

/* [-0, +0, -] The job goes on after uj_cqueues_poll(); when not because of
 * that, the wait is withdrawn, and it is told why before its next instruction.
 */
void uj_cqueues_go_on(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, -] Takes our hook off a coroutine that has ended. Returns whether it
 * was on: nothing was left to run that it could have told why. */
bool uj_cqueues_was_not_told(struct uj_state *S, lua_State *co);

/* [-0, +(0|1), -] Looks what has happened, if there is anything to look at.
 * Returns LUA_OK; or another status, with the error on the top: of a coroutine
 * that is no job's. */
int uj_cqueues_look(struct uj_state *S, lua_State *L);

/* For Lua: (magic, descriptor, enter, poll, leave, step); see cqueues.lua. */
int uj_cqueues_register(lua_State *L);
/* For Lua: (job, ...) what it has polled is there. Returns whether the job
 * still waits, and so gets it. */
int uj_cqueues_wake(lua_State *L);
/* For Lua: () something may have been added to the controller. */
int uj_cqueues_touch(lua_State *L);
/* For Lua: (job, error) it could not be polled. */
int uj_cqueues_fail(lua_State *L);

#endif
