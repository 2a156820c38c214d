/* Nurseries: schedulers that the first failing job closes. They keep that job
 * until whoever waits for the scheduler gets its error. */
#ifndef UJ_LUA_NURSERY_H
#define UJ_LUA_NURSERY_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "lua/state/job.h"
#include "lua/state/sched.h"
#include "lua/state/state.h"

/* [-0, +0, -] Closes the nursery of a failed job whose error nobody has taken,
 * interrupts the block of uvjobs.nursery(), and keeps the job. Returns false
 * when its scheduler is no nursery or has failed already. */
bool uj_nursery_fail(struct uj_ljob *job);

/* [-0, +0, m] Raises the error that closed the nursery; returns 0 when there is
 * none. */
int uj_nursery_raise(lua_State *L, struct uj_lsched *sched);

/* [-0, +0, -] Reports the error that closed the nursery, if there is one. */
void uj_nursery_report(struct uj_state *S, struct uj_lsched *sched);

/* [-0, +0, -] Reports the errors of all nurseries that nobody waited for. */
void uj_nursery_report_all(struct uj_state *S);

/* For the library's Lua files: raise_failed(scheduler) raises the error of a
 * nursery, report_failed(scheduler) reports it, has_failed(scheduler) says
 * whether there is one. */
extern const luaL_Reg uj_nursery_internals[];

#endif
