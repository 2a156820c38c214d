#include "lua/api/totals.h"

#include "core/sched.h"
#include "lua/api/histogram.h"
#include "lua/measure/series.h"
#include "lua/state/sched.h"
#include "lua/state/state.h"

static uint64_t count_ended(const struct uj_sched *sched)
{
  uint64_t count = 0;
  for (int i = 0; i < UJ_SCHED_ENDS; i++)
    count += sched->ended[i];
  return count;
}

static void set_count(lua_State *L, const char *field, uint64_t count)
{
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, field);
}

static void set_seconds(lua_State *L, const char *field, double ns)
{
  lua_pushnumber(L, (lua_Number)(ns / 1e9));
  lua_setfield(L, -2, field);
}

static void set_counts(lua_State *L, const struct uj_sched *sched)
{
  static const char *const ends[UJ_SCHED_ENDS] = {"done", "failed", "cancelled",
                                                  "killed"};
  for (int i = 0; i < UJ_SCHED_ENDS; i++)
    set_count(L, ends[i], sched->ended[i]);
  set_count(L, "ended", count_ended(sched));
  set_count(L, "live", sched->nactive + sched->npending);
  set_count(L, "spawned",
            count_ended(sched) + sched->nactive + sched->npending);
}

/* A series is not taken away while its scheduler is there. */
static void set_histograms(lua_State *L, const struct uj_series *series)
{
  for (int kind = 0; kind < UJ_SERIES_KINDS; kind++) {
    uj_lhistogram_push(L, &series->of[kind].histogram);
    lua_setfield(L, -2, uj_series_names[kind]);
  }
}

/* Making the table can run finalizers, which can spawn and cancel: so it is
 * made before the first count is read, with room for all fields. */
int uj_totals_stats(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_lsched *sched = uj_lsched_self(L, "stats");
  lua_createtable(L, 0, 16);
  set_counts(L, &sched->core);
  if (sched->core.timed) {
    uj_sched_note_time(&sched->core);
    set_seconds(L, "waiting_time", sched->core.waiting_ns);
    set_seconds(L, "running_time", sched->core.running_ns);
  }
  if (S->measures || sched->cpu_ns > 0)
    set_seconds(L, "cpu_time", (double)sched->cpu_ns);
  if (sched->series != NULL)
    set_histograms(L, sched->series);
  return 1;
}
