/* What Lua sees of a job: the methods and properties of `uvjobs.Job`. */
#ifndef UJ_LUA_API_JOB_H
#define UJ_LUA_API_JOB_H

#include <lua.h>

/* For Lua: (job, error, traceback) a callback that ran for the job has raised:
 * the job is cancelled, and fails with that error whatever it does. Returns
 * false when the job has ended or such a callback has failed before. */
int uj_ljob_fail(lua_State *L);

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_ljob_register(lua_State *L);

#endif
