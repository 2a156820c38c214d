/* The jobs of supervised children. When one has ended, a function of
 * lua/uvjobs/supervisor is called. The rules of supervision are in Lua; this
 * file has what they need of the core. */
#ifndef UJ_LUA_SUPERVISOR_CHILDREN_H
#define UJ_LUA_SUPERVISOR_CHILDREN_H

#include <lauxlib.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* [-0, +0, m] Makes room in the registry. */
void uj_children_register(lua_State *L);

/* [-0, +0, -] The run of a child has ended: calls the function that
 * on_child_end() has set. */
void uj_children_ended(struct uj_state *S, const struct uj_ljob *job);

/* [-0, +0, -] run() ends: begins to stop the supervisors whose children live,
 * each of them once. They stop their children one after the other. */
void uj_children_stop(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Ends those supervisors that could not be ended when their rules
 * have failed. */
void uj_children_retry(struct uj_state *S, lua_State *L);

/* [-n, +1, m] Makes and admits a job for the function at `fn`, in the scheduler
 * at `at`. Above the function are the child and, for a child with a limit, what
 * spawn_child() gets behind that. Pushes the job. Returns UJ_OK, or an error
 * when the scheduler is closed. */
int uj_children_spawn(struct uj_state *S, lua_State *L, int at, int fn);

/* For lua/uvjobs/supervisor:
 * spawn_child(scheduler, fn, child [, busy, close]): makes and admits a job for
 * fn(child); returns it, or nil when the scheduler is closed. The child is a
 * record: see record.h. `busy` is how many seconds it may hold the loop, or
 * nil, and `close` how many it has to end when it has held it for longer, or
 * when the time limit of a wait for it is over; without `close`, its scheduler
 * says that. close_child(job, seconds [, closer]): closes it within so many
 * seconds, or within three quarters of those that the job `closer` has left
 * itself; returns whether it has ended, as one that has not run does at once.
 * child_of(job): the child whose run the job is, or nil. on_child_end(fn, stop,
 * fail, retry): from now on fn(child, job, state, held) is called when the run
 * of a child has ended; but not when its scheduler is closed and it has not run
 * yet. `held` is when it was closed because it has held the loop for too long,
 * or nil. stop(child) is called for one child of a supervisor when the run
 * ends, and fail(child, error) when fn has failed. After note_fault(), or when
 * fail() has failed, retry() is called before the loop waits, and again while
 * it fails. All are called outside of jobs. kept_traceback(job): where a job
 * has failed, or nil. */
extern const luaL_Reg uj_children_internals[];

#endif
