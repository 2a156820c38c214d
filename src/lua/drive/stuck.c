#include "lua/drive/stuck.h"

#include <lauxlib.h>

#include "core/turn.h"
#include "lua/api/closing.h"
#include "lua/base/text.h"
#include "lua/engine/report.h"
#include "lua/engine/traceback.h"
#include "lua/insight/glance.h"
#include "lua/state/job.h"

/* ---- for good ------------------------------------------------------------ */

/* [-0, +1, m] Pushes where the jobs of the list at idx stand and, before that,
 * which of all jobs wait for each other in a circle. */
static void push_places_and_circles(struct uj_state *S, lua_State *L, int idx)
{
  idx = lua_absindex(L, idx);
  uj_insight_push_circles(S, L);
  if (lua_rawlen(L, -1) > 0) {
    lua_pushliteral(L, "\n\n");
    lua_concat(L, 2);
  }
  uj_traceback_push_list(L, idx);
  lua_concat(L, 2);
}

/* (state): makes the message. */
static int make_message(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  lua_pushliteral(L, "run is stuck: nothing can wake any of these jobs\n\n");
  uj_insight_push_jobs(S, L);
  push_places_and_circles(S, L, -1);
  lua_remove(L, -2);
  lua_concat(L, 2);
  return 1;
}

void uj_stuck_push_error(struct uj_state *S, lua_State *L)
{
  lua_pushcfunction(L, make_message);
  lua_pushlightuserdata(L, S);
  (void)lua_pcall(L, 1, 1, 0);
}

/* ---- behind a limit ------------------------------------------------------ */

/* (jobs, scheduler): calls the exception handler of the scheduler. */
static int call_handler(lua_State *L)
{
  struct uj_state *S = uj_state_registered(L);
  lua_pushliteral(L, "Jobs are stuck");
  lua_pushvalue(L, 1);
  push_places_and_circles(S, L, -1);
  uj_report_jobs(S, L);
  return 0;
}

/* (state): reports to each scheduler for which a stuck job waits. A handler may
 * wake or spawn jobs: then nobody is stuck any more. */
static int report_all(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  lua_Integer n;
  uj_insight_push_jobs(S, L);
  n = (lua_Integer)lua_rawlen(L, 2);
  for (lua_Integer i = 1; i <= n && !uj_loop_ready(&S->loop); i++) {
    lua_settop(L, 2);
    lua_rawgeti(L, 2, i);
    if (!uj_closing_note_stuck(S, L, uj_ljob_at(L, -1)))
      continue;
    lua_pushcfunction(L, call_handler);
    lua_replace(L, 3);
    lua_pushvalue(L, 2);
    lua_insert(L, 4);
    lua_call(L, 2, 0);
  }
  return 0;
}

void uj_stuck_report(struct uj_state *S, lua_State *L)
{
  if (S->closing->nlimited == 0 || !uj_loop_waits_for_limits(&S->loop))
    return;
  lua_pushcfunction(L, report_all);
  lua_pushlightuserdata(L, S);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK)
    return;
  uj_text_write_error("%s\n", "no memory for the report of stuck jobs");
  lua_pop(L, 1);
}
