/* Reports to exception handlers: of errors of jobs that nobody waits for, and
 * of jobs that misbehave. */
#ifndef UJ_LUA_ENGINE_REPORT_H
#define UJ_LUA_ENGINE_REPORT_H

#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* [-0, +0, -] Reports the error of a job that failed or was killed to its
 * scheduler's handler. */
void uj_report_job(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, -] The same for one at idx, which need not be kept any more. */
void uj_report_ended(struct uj_state *S, lua_State *L, int idx);

/* [-4, +0, -] Reports several jobs to the handler of a scheduler. On the top
 * are: the scheduler, the message, a list of the jobs, and where they stand. */
void uj_report_jobs(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Reports a job that ended holding a mutex. */
void uj_report_locked(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, m] Calls the handler of the scheduler at `sched`, or the default
 * one, with the context at `context`. An error in the handler is printed. */
void uj_report(lua_State *L, int sched, int context);

/* [-0, +0, -] Reports that the current job, which runs on L, has not suspended
 * for so long. */
void uj_report_blocked(struct uj_state *S, lua_State *L, lua_Number seconds);

#endif
