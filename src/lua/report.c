#include "lua/report.h"

#include <lauxlib.h>
#include <stdio.h>

#include "lua/sched.h"

/* [-0, +0, m] Writes a field of the context at index 2, if it is there. */
static void write_field(lua_State *L, const char *label, const char *field)
{
  if (lua_getfield(L, 2, field) != LUA_TNIL) {
    lua_writestringerror("%s", label);
    lua_writestringerror("%s\n", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* (scheduler, context): the default handler. */
static int write_report(lua_State *L)
{
  write_field(L, "", "message");
  write_field(L, "  job: ", "job");
  write_field(L, "  error: ", "exception");
  write_field(L, "", "traceback");
  write_field(L, "spawned at, ", "source_traceback");
  return 0;
}

void uj_report(lua_State *L, int sched, int context)
{
  sched = lua_absindex(L, sched);
  context = lua_absindex(L, context);
  if (lua_getiuservalue(L, sched, UJ_SCHED_UV_HANDLER) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushcfunction(L, write_report);
  }
  lua_pushvalue(L, sched);
  lua_pushvalue(L, context);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK)
    return;
  lua_writestringerror("error in exception handler: %s\n",
                       luaL_tolstring(L, -1, NULL));
  lua_pop(L, 2);
}

/* [-0, +1, m] Pushes what is known of the failure of the job at idx. */
static void push_context(lua_State *L, int idx, const char *message)
{
  lua_createtable(L, 0, 5);
  lua_pushstring(L, message);
  lua_setfield(L, -2, "message");
  lua_pushvalue(L, idx);
  lua_setfield(L, -2, "job");
  uj_job_push_error(L, idx);
  lua_setfield(L, -2, "exception");
  uj_job_get_extra(L, idx, "traceback");
  lua_setfield(L, -2, "traceback");
  uj_job_get_extra(L, idx, "source");
  lua_setfield(L, -2, "source_traceback");
}

/* (job) */
static int report_job(lua_State *L)
{
  const struct uj_ljob *job = uj_job_to(L, 1);
  push_context(L, 1,
               job->core.state == UJ_JOB_KILLED ? "Job closing timed out"
                                                : "Job processing failed");
  lua_getiuservalue(L, 1, UJ_JOB_UV_SCHED);
  uj_report(L, -1, -2);
  return 0;
}

void uj_report_job(struct uj_state *S, struct uj_ljob *job)
{
  lua_State *L = S->L;
  lua_pushcfunction(L, report_job);
  uj_job_push(S, L, job);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK)
    return;
  lua_writestringerror("%s\n", "a job failed, and its report too: "
                               "not enough memory");
  lua_pop(L, 1);
}
