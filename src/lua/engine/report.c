#include "lua/engine/report.h"

#include <lauxlib.h>
#include <stdio.h>

#include "lua/base/text.h"
#include "lua/engine/ending.h"
#include "lua/engine/nest.h"
#include "lua/engine/outside.h"
#include "lua/state/job.h"
#include "lua/state/outcome.h"
#include "lua/state/sched.h"

static const char *push_text(lua_State *L, int idx)
{
  return uj_text_push(L, idx, "(%s without a text)");
}

/* [-0, +0, m] Writes a field of the context at index 2, if it is there. */
static void write_field(lua_State *L, const char *label, const char *field)
{
  if (lua_getfield(L, 2, field) != LUA_TNIL) {
    uj_text_write_error("%s", label);
    uj_text_write_error("%s\n", push_text(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* (scheduler, context): the default handler. */
static int write_report(lua_State *L)
{
  write_field(L, "", "message");
  write_field(L, "  job: ", "job");
  write_field(L, "  thread: ", "thread");
  write_field(L, "  error: ", "exception");
  write_field(L, "  seconds: ", "seconds");
  write_field(L, "  repeating: ", "repeating");
  write_field(L, "  reason: ", "reason");
  write_field(L, "", "traceback");
  write_field(L, "spawned at, ", "source_traceback");
  return 0;
}

void uj_report(lua_State *L, int sched, int context)
{
  struct uj_state *S = uj_state_registered(L);
  sched = lua_absindex(L, sched);
  context = lua_absindex(L, context);
  if (lua_getiuservalue(L, sched, UJ_SCHED_UV_HANDLER) == LUA_TNIL) {
    lua_pop(L, 1);
    uj_hub_push(S->hub, L, UJ_HUB_HANDLER);
  }
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushcfunction(L, write_report);
  }
  lua_pushvalue(L, sched);
  lua_pushvalue(L, context);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK)
    return;
  uj_text_write_error("error in exception handler: %s\n", push_text(L, -1));
  lua_pop(L, 2);
}

/* [-0, +1, m] Pushes what is known of the job at index 1. */
static void push_context(lua_State *L, const char *message)
{
  lua_createtable(L, 0, 5);
  lua_pushstring(L, message);
  lua_setfield(L, -2, "message");
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "job");
  uj_ljob_get_extra(L, 1, "source");
  lua_setfield(L, -2, "source_traceback");
}

/* [-0, +0, m] Reports the context on the top to the job's scheduler. */
static int report_context(lua_State *L)
{
  uj_ljob_push_sched(L, 1);
  uj_report(L, -1, -2);
  return 0;
}

/* (job) */
static int report_failed(lua_State *L)
{
  const struct uj_ljob *job = uj_ljob_at(L, 1);
  push_context(L, job->core.state == UJ_JOB_KILLED ? "Job closing timed out"
                                                   : "Job processing failed");
  uj_outcome_push_error(L, 1);
  lua_setfield(L, -2, "exception");
  uj_ljob_get_extra(L, 1, "traceback");
  lua_setfield(L, -2, "traceback");
  return report_context(L);
}

/* (job) */
static int report_locked(lua_State *L)
{
  push_context(L, "Job ended holding a mutex");
  return report_context(L);
}

/* (job, seconds) */
static int report_blocked(lua_State *L)
{
  const struct uj_ljob *job = uj_ljob_at(L, 1);
  push_context(L, "Job blocks the loop");
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "seconds");
  uj_nest_push_traceback(uj_state_of(job->core.sched->loop), L, job, 1, NULL);
  lua_setfield(L, -2, "traceback");
  return report_context(L);
}

/* (scheduler, message, jobs, traceback) */
static int report_jobs(lua_State *L)
{
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "message");
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "jobs");
  lua_pushvalue(L, 4);
  lua_setfield(L, -2, "traceback");
  uj_report(L, 1, -1);
  return 0;
}

/* [-nargs, +0, -] Calls one of the above on L, with the values on the top. A
 * handler runs outside of any job. */
static void report_by(struct uj_state *S, lua_State *L, lua_CFunction report,
                      int nargs)
{
  int status;
  lua_pushcfunction(L, report);
  lua_insert(L, -1 - nargs);
  status = uj_outside_pcall(S, L, nargs);
  if (status == LUA_OK || (L == S->L && uj_state_keep_hook_error(S, L, status)))
    return;
  uj_text_write_error("%s\n", status == LUA_ERRMEM ? "no memory for a report"
                                                   : "a report failed");
  if (L != S->L)
    lua_pop(L, 1);
}

void uj_report_job(struct uj_state *S, struct uj_ljob *job)
{
  if (uj_ending_is_stopped(S)) /* nobody is interested any more */
    return;
  uj_ljob_push(S, S->L, job);
  report_by(S, S->L, report_failed, 1);
}

void uj_report_ended(struct uj_state *S, lua_State *L, int idx)
{
  lua_pushvalue(L, idx);
  report_by(S, L, report_failed, 1);
}

void uj_report_jobs(struct uj_state *S, lua_State *L)
{
  report_by(S, L, report_jobs, 4);
}

void uj_report_locked(struct uj_state *S, struct uj_ljob *job)
{
  uj_ljob_push(S, S->L, job);
  report_by(S, S->L, report_locked, 1);
}

void uj_report_blocked(struct uj_state *S, lua_State *L, lua_Number seconds)
{
  uj_ljob_push(S, L, S->current);
  lua_pushnumber(L, seconds);
  report_by(S, L, report_blocked, 2);
}
