#include "lua/drive/stuck.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/turn.h"
#include "lua/api/closing.h"
#include "lua/base/text.h"
#include "lua/engine/report.h"
#include "lua/engine/traceback.h"
#include "lua/insight/glance.h"
#include "lua/service/crew.h"
#include "lua/service/service.h"
#include "lua/state/job.h"

/* How long other threads have to tell of their jobs, which takes them none. */
enum { PATIENCE_S = 5 };

/* What the other threads of the crew tell of their jobs, in memory of malloc();
 * or NULL. */
static char *collect_others(const struct uj_state *S)
{
  struct uj_member *member = uj_lcrew_member(S);
  if (member == NULL || !uj_member_is_founder(member))
    return NULL;
  return uj_crew_collect(member, PATIENCE_S);
}

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

/* (state, text of the others or NULL): makes the message. */
static int make_message(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  const char *others = lua_touserdata(L, 2);
  lua_pushliteral(L, "run is stuck: nothing can wake any of these jobs\n\n");
  uj_insight_push_jobs(S, L);
  push_places_and_circles(S, L, -1);
  lua_remove(L, -2);
  lua_pushstring(L, others == NULL ? "" : others);
  lua_concat(L, 3);
  return 1;
}

void uj_stuck_push_error(struct uj_state *S, lua_State *L)
{
  char *others = collect_others(S);
  lua_pushcfunction(L, make_message);
  lua_pushlightuserdata(L, S);
  lua_pushlightuserdata(L, others);
  (void)lua_pcall(L, 2, 1, 0);
  free(others);
}

/* ---- in another thread --------------------------------------------------- */

/* [-0, +1, m] Pushes a list of all jobs but the main one, which serves. */
static void push_jobs_that_serve_nobody(struct uj_state *S, lua_State *L)
{
  lua_Integer n = 0, last;
  uj_insight_push_jobs(S, L);
  last = (lua_Integer)lua_rawlen(L, -1);
  lua_createtable(L, (int)last, 0);
  for (lua_Integer i = 1; i <= last; i++)
    if (lua_rawgeti(L, -2, i), uj_ljob_at(L, -1) != S->main)
      lua_rawseti(L, -2, ++n);
    else
      lua_pop(L, 1);
  lua_remove(L, -2);
}

/* (state): makes the text, or nil. */
static int make_text(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  uj_services_push_title(S, L);
  push_jobs_that_serve_nobody(S, L);
  if (lua_rawlen(L, -1) == 0)
    return 0;
  lua_pushfstring(L, "\n\nin %s:\n\n", lua_tostring(L, -2));
  push_places_and_circles(S, L, -2);
  lua_concat(L, 2);
  return 1;
}

/* A copy of the text on the top, or NULL. */
static char *copy_text(lua_State *L)
{
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  char *copy = text == NULL ? NULL : malloc(size + 1);
  if (copy != NULL)
    memcpy(copy, text, size + 1);
  return copy;
}

char *uj_stuck_text(struct uj_state *S, lua_State *L)
{
  char *text = NULL;
  lua_pushcfunction(L, make_text);
  lua_pushlightuserdata(L, S);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK)
    text = copy_text(L);
  lua_pop(L, 1);
  return text;
}

/* ---- behind a limit ------------------------------------------------------ */

/* (jobs, text of the others or NULL, scheduler): calls the exception handler of
 * the scheduler. */
static int call_handler(lua_State *L)
{
  struct uj_state *S = uj_state_registered(L);
  const char *others = lua_touserdata(L, 2);
  lua_remove(L, 2);
  lua_pushliteral(L, "Jobs are stuck");
  lua_pushvalue(L, 1);
  push_places_and_circles(S, L, -1);
  lua_pushstring(L, others == NULL ? "" : others);
  lua_concat(L, 2);
  uj_report_jobs(S, L);
  return 0;
}

/* (state, text of the others or NULL): reports to each scheduler for which a
 * stuck job waits. A handler may wake or spawn jobs: then nobody is stuck any
 * more. */
static int report_all(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  lua_Integer n;
  uj_insight_push_jobs(S, L);
  n = (lua_Integer)lua_rawlen(L, 3);
  for (lua_Integer i = 1; i <= n && !uj_loop_ready(&S->loop); i++) {
    lua_settop(L, 3);
    lua_rawgeti(L, 3, i);
    if (!uj_closing_note_stuck(S, L, uj_ljob_at(L, -1)))
      continue;
    lua_pushcfunction(L, call_handler);
    lua_replace(L, 4);
    lua_pushvalue(L, 3);
    lua_insert(L, 5);
    lua_pushvalue(L, 2);
    lua_insert(L, 6);
    lua_call(L, 3, 0);
  }
  return 0;
}

void uj_stuck_report(struct uj_state *S, lua_State *L)
{
  char *others;
  if (S->closing->nlimited == 0 || !uj_loop_waits_for_limits(&S->loop))
    return;
  others = collect_others(S);
  lua_pushcfunction(L, report_all);
  lua_pushlightuserdata(L, S);
  lua_pushlightuserdata(L, others);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    uj_text_write_error("%s\n", "no memory for the report of stuck jobs");
    lua_pop(L, 1);
  }
  free(others);
}
