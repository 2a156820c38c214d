/* Runs jobs for the core: the one place that resumes coroutines. */
#ifndef UJ_LUA_HOST_H
#define UJ_LUA_HOST_H

#include <lua.h>

#include "core/loop.h"

struct uj_state;

extern const struct uj_host uj_host;

/* What every job's coroutine runs: (job, handler, fn, ...). */
int uj_host_body(lua_State *L);

/* lua_resume() for a coroutine that `from` resumes. If that is the part of the
 * current job that runs, `co` is it until it has come back. */
int uj_host_resume_nested(struct uj_state *S, lua_State *co, lua_State *from,
                          int nargs, int *nresults);

#endif
