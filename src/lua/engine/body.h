/* What runs inside the coroutine of a job: a function in C, around the one of
 * the job, that keeps its results or its error. */
#ifndef UJ_LUA_ENGINE_BODY_H
#define UJ_LUA_ENGINE_BODY_H

#include <lua.h>
#include <stdbool.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* The stack of a body: the job and the message handler; then the job's function
 * with its arguments, or what came of it. */
enum {
  UJ_BODY_JOB = 1,
  UJ_BODY_HANDLER,
  UJ_BODY_FIRST,
  UJ_BODY_BELOW = UJ_BODY_FIRST - 1 /* values below the function it calls */
};

/* (job, handler, fn, ...): calls fn(...). */
int uj_body(lua_State *L);

/* [co: -0, +4+nargs] Gives a job a coroutine of the pool, on which its body is
 * ready to be resumed: `job->ninputs` is what lua_resume() needs. Returns false
 * when there is no memory for that. */
bool uj_body_start(struct uj_state *S, struct uj_ljob *job);

/* [co: -0, +(0|1)] The coroutine of a job has ended, and its body has not kept
 * an outcome: it has closed itself, see base/inside.h. So the job has failed.
 * Returns LUA_OK, or LUA_ERRMEM with an error on the top. */
int uj_body_closed(struct uj_ljob *job);

/* [-0, +0, m] The error on the top, which is about to be raised in the current
 * job, was raised in another thread at first, and this is where (or NULL). It
 * is shown with the job's own traceback if the job fails by that error. */
void uj_body_note_beyond(struct uj_state *S, lua_State *L,
                         const char *traceback);

#endif
