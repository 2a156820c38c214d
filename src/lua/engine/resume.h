/* The one place that resumes coroutines. Around each lua_resume() it says which
 * coroutine of the job runs, for hooks and for the signal handler. */
#ifndef UJ_LUA_ENGINE_RESUME_H
#define UJ_LUA_ENGINE_RESUME_H

#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* A stretch of a job: resumes its coroutine with `nargs` values of its stack.
 * Returns the status of lua_resume() when the job has suspended or ended. */
int uj_resume_job(struct uj_state *S, struct uj_ljob *job, int nargs,
                  int *nresults);

/* lua_resume() for a coroutine that `from` resumes. If `from` is the part of
 * the current job that runs, `co` is that part until it has come back. */
int uj_resume_nested(struct uj_state *S, lua_State *co, lua_State *from,
                     int nargs, int *nresults);

#endif
