/* Calls under a deadline, and calls that nothing may interrupt. */
#ifndef UJ_LUA_SCOPE_H
#define UJ_LUA_SCOPE_H

#include <lauxlib.h>
#include <lua.h>

#include "core/job.h"

struct uj_scope;

/* A nested coroutine goes on in the scopes that it has open, of which this is
 * the innermost: enters them again, around the limits that the job has now. */
void uj_scope_reenter(struct uj_job *job, struct uj_scope *innermost);

/* [-0, +0, m] Registers the metatable; the state is on the top. */
void uj_scope_register(lua_State *L);

/* uvjobs.timeout(seconds, fn, ...) and uvjobs.protect(fn, ...) */
extern const luaL_Reg uj_scope_functions[];

#endif
