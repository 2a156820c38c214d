#include "lua/state/outcome.h"

#include <lauxlib.h>

#include "lua/state/error.h"
#include "lua/state/job.h"

/* The error of a job that was cancelled or killed from outside is made here,
 * when it is first wanted, and kept: everybody gets the same value. */
void uj_outcome_push_error(lua_State *L, int idx)
{
  struct uj_ljob *job = uj_ljob_at(L, idx);
  if (job->nresults != UJ_RESULTS_NONE) {
    uj_ljob_get_value(L, job, idx);
    return;
  }
  lua_pushvalue(L, idx);
  uj_error_new(L, job->core.state == UJ_JOB_KILLED ? UJ_CODE_KILLED
                                                   : UJ_CODE_CANCELLED);
  lua_pushvalue(L, -1);
  uj_ljob_set_value(L, job, idx);
  job->nresults = UJ_RESULTS_ONE;
}

/* [-0, +n, m] Pushes the values of the table on the top; returns n. */
static int unpack(lua_State *L)
{
  int table = lua_gettop(L), n;
  lua_getfield(L, table, "n");
  n = (int)lua_tointeger(L, -1);
  luaL_checkstack(L, n, "too many results");
  for (int i = 1; i <= n; i++)
    lua_rawgeti(L, table, i);
  return n;
}

int uj_outcome_push_results(lua_State *L, int idx)
{
  const struct uj_ljob *job = uj_ljob_at(L, idx);
  if (job->core.state != UJ_JOB_DONE) {
    uj_outcome_push_error(L, idx);
    return lua_error(L);
  }
  if (job->nresults == UJ_RESULTS_NONE)
    return 0;
  uj_ljob_get_value(L, job, idx);
  return job->nresults == UJ_RESULTS_ONE ? 1 : unpack(L);
}
