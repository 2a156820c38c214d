/* What Lua sees of a job: the methods and properties of `uvjobs.Job`. */
#ifndef UJ_LUA_API_JOB_H
#define UJ_LUA_API_JOB_H

#include <lauxlib.h>
#include <lua.h>

struct uj_ljob;

/* [-0, +1, m] Registers the metatable and pushes the table of the methods; the
 * state is on the top. */
void uj_ljob_register(lua_State *L);

/* As the property `state`. */
const char *uj_ljob_state_name(const struct uj_ljob *job);

/* For the library's Lua files: fail(job, error, traceback), after a callback
 * that ran for the job has raised. The job is cancelled, and fails with that
 * error whatever it does. Returns false when the job has ended or such a
 * callback has failed before.
 * begin_close_job(job, seconds): as close() does, but does not wait; the job
 * may be the calling one. close_left(): in how many seconds the calling job is
 * killed, or nil. set_thread(index): the calling job runs in this thread of
 * workers. raise_beyond(error, traceback): raises an error of another thread,
 * with where it was raised there. For the specs: states() lists the states of
 * jobs. */
extern const luaL_Reg uj_ljob_internals[];

#endif
