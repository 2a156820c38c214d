/* The module uvjobs.core: what of the library is written in C. */
#include <lauxlib.h>
#include <lua.h>

#include "lua/api/await.h"
#include "lua/api/checks.h"
#include "lua/api/closing.h"
#include "lua/api/coroutine.h"
#include "lua/api/current.h"
#include "lua/api/date.h"
#include "lua/api/debug.h"
#include "lua/api/event.h"
#include "lua/api/exit.h"
#include "lua/api/histogram.h"
#include "lua/api/job.h"
#include "lua/api/mutex.h"
#include "lua/api/nursery.h"
#include "lua/api/policy.h"
#include "lua/api/queue.h"
#include "lua/api/scheduler.h"
#include "lua/api/scope.h"
#include "lua/api/select.h"
#include "lua/api/semaphore.h"
#include "lua/api/stats.h"
#include "lua/api/testing.h"
#include "lua/api/time.h"
#include "lua/api/work.h"
#include "lua/base/object.h"
#include "lua/channel/blob.h"
#include "lua/channel/channel.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/embed.h"
#include "lua/drive/luv.h"
#include "lua/drive/run.h"
#include "lua/encode/encode.h"
#include "lua/engine/dumping.h"
#include "lua/engine/inspecting.h"
#include "lua/engine/interrupt.h"
#include "lua/engine/own.h"
#include "lua/engine/profiling.h"
#include "lua/insight/asking.h"
#include "lua/insight/copied.h"
#include "lua/insight/glance.h"
#include "lua/insight/holds.h"
#include "lua/insight/part.h"
#include "lua/lifetime.h"
#include "lua/measure/series.h"
#include "lua/measure/times.h"
#include "lua/policy/gate.h"
#include "lua/policy/rate.h"
#include "lua/policy/window.h"
#include "lua/repeating/repeating.h"
#include "lua/schedule/schedule.h"
#include "lua/service/crew.h"
#include "lua/service/service.h"
#include "lua/state/context.h"
#include "lua/state/error.h"
#include "lua/state/state.h"
#include "lua/supervisor/children.h"
#include "lua/supervisor/record.h"

/* What becomes a part of the table that `require "uvjobs"` returns. */
static const luaL_Reg *const public_rooms[] = {
    uj_await_functions,     uj_current_functions,
    uj_debug_functions,     uj_embed_functions,
    uj_error_functions,     uj_exit_functions,
    uj_levent_functions,    uj_lmutex_functions,
    uj_lqueue_functions,    uj_run_functions,
    uj_scheduler_functions, uj_lsemaphore_functions,
    uj_scope_functions,     uj_stats_functions,
    uj_time_functions,      uj_date_functions,
    uj_work_functions,      uj_lchannel_functions,
    uj_lblob_functions,     NULL};

/* What only the library's own Lua code calls. */
static const luaL_Reg *const internal_rooms[] = {uj_checks_internals,
                                                 uj_closing_internals,
                                                 uj_context_internals,
                                                 uj_current_internals,
                                                 uj_debug_internals,
                                                 uj_dumping_internals,
                                                 uj_embed_internals,
                                                 uj_error_internals,
                                                 uj_ljob_internals,
                                                 uj_insight_internals,
                                                 uj_interrupt_internals,
                                                 uj_nursery_internals,
                                                 uj_lhistogram_internals,
                                                 uj_policy_internals,
                                                 uj_scope_internals,
                                                 uj_select_internals,
                                                 uj_luv_internals,
                                                 uj_own_internals,
                                                 uj_run_internals,
                                                 uj_testing_internals,
                                                 uj_lschedule_internals,
                                                 uj_date_internals,
                                                 uj_repeating_internals,
                                                 uj_rate_internals,
                                                 uj_gate_internals,
                                                 uj_window_internals,
                                                 uj_time_internals,
                                                 uj_levent_internals,
                                                 uj_children_internals,
                                                 uj_service_internals,
                                                 uj_encode_internals,
                                                 uj_record_internals,
                                                 uj_holds_internals,
                                                 uj_inspecting_internals,
                                                 uj_asking_internals,
                                                 uj_series_internals,
                                                 uj_times_internals,
                                                 uj_profiling_internals,
                                                 uj_copied_internals,
                                                 uj_part_internals,
                                                 uj_scheduler_internals,
                                                 uj_lcrew_internals,
                                                 NULL};

/* [-0, +0, m] Adds the functions of rooms to the table on the top. */
static void add_rooms(lua_State *L, int state, const luaL_Reg *const *rooms)
{
  for (; *rooms != NULL; rooms++)
    uj_object_set_functions(L, state, *rooms);
}

/* [-0, +0, m] Sets a field of the table on the top to a table of functions. */
static void set_table(lua_State *L, int state, const char *field,
                      const luaL_Reg *const *rooms)
{
  lua_newtable(L);
  add_rooms(L, state, rooms);
  lua_setfield(L, -2, field);
}

__attribute__((visibility("default"))) int luaopen_uvjobs_core(lua_State *L);

/* Returns a table of the internal functions. Its fields are tables, too:
 * `public`, the functions of `uvjobs`; `coroutine`, those of
 * `uvjobs.coroutine`; `cqueues`, what uvjobs.cqueues calls; `types`, the
 * methods and metatables that Lua code adds to. */
int luaopen_uvjobs_core(lua_State *L)
{
  static const luaL_Reg *const coroutine[] = {uj_coroutine_functions, NULL};
  static const luaL_Reg *const cqueues[] = {uj_cqueues_internals, NULL};
  int state;
  luaL_checkversion(L);
  uj_lifetime_push_state(L);
  state = lua_gettop(L);
  lua_newtable(L);
  add_rooms(L, state, internal_rooms);
  set_table(L, state, "public", public_rooms);
  set_table(L, state, "coroutine", coroutine);
  set_table(L, state, "cqueues", cqueues);
  lua_getiuservalue(L, state, UJ_STATE_UV_TYPES);
  lua_setfield(L, -2, "types");
  return 1;
}
