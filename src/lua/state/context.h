/* Values that belong to a job: what uvjobs.context is made of.
 *
 * They are in a table, which is the job's extra field `context`. It is not
 * changed once a job has it; setting a value replaces it by another table. So a
 * child shares the table of its parent, and neither sees what the other sets
 * later. */
#ifndef UJ_LUA_CONTEXT_H
#define UJ_LUA_CONTEXT_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* [-0, +0, m] Gives the new job on the top the values of the current one. */
void uj_context_inherit(struct uj_state *S, lua_State *L, struct uj_ljob *job);

/* For init.lua, on the current job: get_context() returns its table, or nil;
 * set_context(table) replaces it. */
extern const luaL_Reg uj_context_internals[];

#endif
