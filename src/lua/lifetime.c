#include "lua/lifetime.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "loop/driver.h"
#include "loop/signals.h"
#include "loop/standard.h"
#include "lua/api/await.h"
#include "lua/api/closing.h"
#include "lua/api/date.h"
#include "lua/api/event.h"
#include "lua/api/histogram.h"
#include "lua/api/job.h"
#include "lua/api/mutex.h"
#include "lua/api/permit.h"
#include "lua/api/queue.h"
#include "lua/api/scheduler.h"
#include "lua/api/scope.h"
#include "lua/api/select.h"
#include "lua/api/semaphore.h"
#include "lua/api/testing.h"
#include "lua/api/tracked.h"
#include "lua/api/work.h"
#include "lua/api/worker.h"
#include "lua/base/allocator.h"
#include "lua/base/backtrace.h"
#include "lua/channel/blob.h"
#include "lua/channel/channel.h"
#include "lua/channel/handle.h"
#include "lua/channel/hear.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/embed.h"
#include "lua/drive/luv.h"
#include "lua/drive/poll.h"
#include "lua/drive/round.h"
#include "lua/engine/alarms.h"
#include "lua/engine/cover.h"
#include "lua/engine/covered.h"
#include "lua/engine/dumping.h"
#include "lua/engine/ending.h"
#include "lua/engine/hook.h"
#include "lua/engine/hookerror.h"
#include "lua/engine/inspecting.h"
#include "lua/engine/interrupt.h"
#include "lua/engine/killing.h"
#include "lua/engine/nest.h"
#include "lua/engine/own.h"
#include "lua/engine/pool.h"
#include "lua/engine/profiling.h"
#include "lua/engine/stretch.h"
#include "lua/engine/watchers.h"
#include "lua/host.h"
#include "lua/insight/copied.h"
#include "lua/insight/glance.h"
#include "lua/measure/series.h"
#include "lua/measure/times.h"
#include "lua/measure/trace.h"
#include "lua/policy/gate.h"
#include "lua/policy/rate.h"
#include "lua/policy/window.h"
#include "lua/repeating/repeating.h"
#include "lua/service/crew.h"
#include "lua/service/service.h"
#include "lua/state/error.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"
#include "lua/state/state.h"
#include "lua/state/unseen.h"
#include "lua/supervisor/children.h"
#include "random/random.h"

#define STATE_TYPE "uvjobs.State"

/* ---- death --------------------------------------------------------------- */

/* Runs the to-be-closed variables of the job that has called os.exit(), and of
 * those on top of which it ran, the innermost first. They never go on. Returns
 * the job, or NULL. */
static struct uj_ljob *close_running(struct uj_state *S, lua_State *L)
{
  struct uj_ljob *job = S->current;
  const struct uj_nest *nest = S->nest;
  uj_killing_end(S);
  uj_hook_set_running(S, NULL);
  S->current = NULL;
  S->native = NULL;
  S->nest = NULL; /* none of them is a part of the job any more */
  if (job != NULL)
    uj_nest_close_running(nest, job, L);
  for (const struct uj_cover *cover = S->covers->top; cover != NULL;
       cover = cover->below)
    uj_nest_close_running(cover->nest, cover->job, L);
  return job;
}

/* Runs the to-be-closed variables of every suspended job. */
static void close_jobs(struct uj_state *S, lua_State *L,
                       const struct uj_ljob *current)
{
  for (uint32_t slot = 1; slot < S->jobs.next; slot++) {
    struct uj_ljob *job = uj_state_job(S, slot);
    if (job != NULL && job->co != NULL && job != current &&
        uj_cover_of(S, job) == NULL)
      uj_nest_close(S, job, L);
  }
}

/* The __gc of the state, which Lua calls when it closes. Lua collects nothing
 * that the state refers to before this has returned, but it may call functions
 * of ours afterwards: uj_state() refuses those. */
static int end(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  if (S->dead)
    return 0;
  S->dead = true;
  uj_worker_disown(L);
  uj_interrupt_stop(S);
  if (S->driver != NULL)
    uj_signals_end_at_once(uj_driver_signals(S->driver));
  close_jobs(S, L, close_running(S, L));
  uj_services_term(S);
  uj_lcrew_end(S);
  uj_work_end(S);
  uj_channels_end(S);
  uj_trace_stop(S);
  uj_profiling_term(S);
  uj_series_term(S);
  uj_pool_term(S, L);
  uj_slots_term(&S->jobs, L);
  uj_slots_term(&S->records, L);
  if (S->driver != NULL)
    uj_driver_free(S->driver);
  S->driver = NULL;
  return 0;
}

/* ---- birth --------------------------------------------------------------- */

/* The record and the parts that it points to, in one userdata. */
struct whole {
  struct uj_state state; /* first: the userdata is the state */
  struct uj_covers covers;
  struct uj_tracked tracked;
  struct uj_unseen unseen;
  struct uj_pool pool;
  struct uj_hook hook;
  struct uj_stretch stretch;
  struct uj_own own;
  struct uj_hookerror hookerror;
  struct uj_killing kill;
  struct uj_ending ending;
  struct uj_outer outer;
  struct uj_dumping dumping;
  struct uj_interrupt interrupt;
  struct uj_meter meter;
  struct uj_profiling profiling;
  struct uj_insight insight;
  struct uj_inspecting inspecting;
  struct uj_fault fault;
  struct uj_date date;
  struct uj_alarms alarms;
  struct uj_lrepeats repeats;
  struct uj_random random;
  struct uj_rates rates;
  struct uj_closing closing;
  struct uj_work work;
  struct uj_services services;
  struct uj_channels channels;
  struct uj_pace pace;
  struct uj_embed embed;
  struct uj_luv luv;
  struct uj_cqueues cqueues;
};

static void connect(struct whole *whole)
{
  struct uj_state *S = &whole->state;
  S->covers = &whole->covers;
  S->tracked = &whole->tracked;
  S->unseen = &whole->unseen;
  S->pool = &whole->pool;
  S->threads = &whole->pool.slots;
  S->hook = &whole->hook;
  S->stretch = &whole->stretch;
  S->own = &whole->own;
  S->hookerror = &whole->hookerror;
  S->kill = &whole->kill;
  S->ending = &whole->ending;
  S->outer = &whole->outer;
  S->dumping = &whole->dumping;
  S->interrupt = &whole->interrupt;
  S->meter = &whole->meter;
  S->profiling = &whole->profiling;
  S->insight = &whole->insight;
  S->inspecting = &whole->inspecting;
  S->fault = &whole->fault;
  S->date = &whole->date;
  S->alarms = &whole->alarms;
  S->repeats = &whole->repeats.core;
  S->random = &whole->random;
  S->rates = &whole->rates;
  S->closing = &whole->closing;
  S->work = &whole->work;
  S->services = &whole->services;
  S->channels = &whole->channels;
  S->pace = &whole->pace;
  S->embed = &whole->embed;
  S->luv = &whole->luv;
  S->cqueues = &whole->cqueues;
}

/* [-0, +0, m] Makes the hub, which the state at idx keeps, with the values that
 * have a number in enum uj_hub. */
static void make_hub(lua_State *L, int idx, struct uj_state *S)
{
  lua_State *hub = lua_newthread(L);
  luaL_checkstack(L, UJ_HUB_TOP, "uvjobs");
  if (!lua_checkstack(hub, UJ_HUB_TOP + LUA_MINSTACK))
    luaL_error(L, "not enough memory");
  lua_setiuservalue(L, idx, UJ_STATE_UV_HUB);
  luaL_newmetatable(L, UJ_JOB_TYPE);                    /* UJ_HUB_JOB_TYPE */
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE); /* UJ_HUB_LOADED */
  lua_pushliteral(L, "not enough memory");              /* UJ_HUB_NO_MEMORY */
  lua_pushliteral(L, UJ_FOREIGN_YIELD); /* UJ_HUB_FOREIGN_YIELD */
  for (int i = UJ_HUB_FOREIGN_YIELD + 1; i <= UJ_HUB_TOP; i++)
    lua_pushnil(L);
  lua_xmove(L, hub, UJ_HUB_TOP);
  S->hub = hub;
}

/* [-0, +0, m] Makes a coroutine on which slots have their chunks. */
static lua_State *make_slots_thread(struct uj_state *S, lua_State *L)
{
  lua_State *co = lua_newthread(L);
  (void)uj_hub_keep(S->hub, L);
  return co;
}

/* [-0, +0, m] */
static void init_parts(struct uj_state *S, lua_State *L)
{
  uj_loop_init(&S->loop, &uj_host);
  uj_slots_init(&S->jobs, make_slots_thread(S, L));
  uj_unseen_init(S, L);
  uj_slots_init(&S->records, make_slots_thread(S, L));
  uj_pool_init(S->pool, make_slots_thread(S, L));
  uj_dumping_init(S, L);
  uj_insight_init(S, L);
  uj_inspecting_init(S, L);
  uj_ending_init(S, 0);
  uj_times_init(S, L, &uj_host);
  uj_date_init(S);
  uj_random_init(S->random, uj_driver_now() ^ uj_driver_ticks());
  uj_alarms_init(S);
  uj_services_init(S, L);
  uj_channels_init(S);
  uj_repeating_init(S, L);
  uj_rates_init(S);
  uj_watchers_init(S, L);
  uj_testing_init(S, L);
  uj_poll_init(S);
  uj_embed_init(S, L);
  uj_luv_init(S, L);
  uj_cqueues_init(S, L);
  uj_cover_init(S, L);
  S->covers->go_round = uj_drive_go_round;
}

static bool debug_from_environment(void)
{
  const char *value = getenv("UVJOBS_DEBUG");
  return value != NULL && strcmp(value, "1") == 0;
}

/* [-0, +1, m] Pushes a new state. It gets its metatable, and with that end(),
 * when all of it is there. */
static struct uj_state *push_new(lua_State *L, const struct uj_heap *heap)
{
  struct whole *whole = lua_newuserdatauv(L, sizeof(*whole), UJ_STATE_UV_TYPES);
  struct uj_state *S = &whole->state;
  memset(whole, 0, sizeof(*whole));
  connect(whole);
  S->hook->ours = &uj_interrupt_hooks;
  S->heap = heap;
  S->chain_yields = true;
  S->debug = debug_from_environment();
  make_hub(L, lua_gettop(L), S);
  init_parts(S, L);
  luaL_newmetatable(L, STATE_TYPE);
  lua_pushcfunction(L, end);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  if (!uj_worker_adopt(L, S))
    S->tracked->state = S;
  return S;
}

/* [-0, +0, m] Registers the types. Stack: types, state. The table `types` is
 * for Lua code, which adds methods: it gets the metatable of schedulers, and
 * the tables of methods of schedulers, repetitions, semaphores and mutexes. */
static void register_types(lua_State *L)
{
  int state = lua_gettop(L);
  uj_backtrace_register(L);
  uj_children_register(L);
  uj_error_register(L);
  uj_scope_register(L);
  uj_await_register(L);
  uj_work_register(L);
  uj_copied_register(L);
  uj_service_register(L);
  uj_channels_register(L);
  uj_handle_register(L);
  uj_ljob_register(L);
  lua_settop(L, state);
  uj_levent_register(L);
  lua_settop(L, state);
  uj_select_register(L);
  lua_settop(L, state);
  uj_lhistogram_register(L);
  lua_settop(L, state);
  uj_lqueue_register(L);
  lua_settop(L, state);
  uj_lchannel_register(L);
  lua_settop(L, state);
  uj_lblob_register(L);
  lua_settop(L, state);
  uj_permit_register(L);
  uj_rate_register(L);
  uj_gate_register(L);
  uj_window_register(L);
  uj_lsemaphore_register(L);
  lua_setfield(L, state - 1, "Semaphore");
  uj_lmutex_register(L);
  lua_setfield(L, state - 1, "Mutex");
  uj_scheduler_register(L);
  lua_setfield(L, state - 1, "scheduler_methods");
  uj_repeating_register(L);
  lua_setfield(L, state - 1, "repeating_methods");
  luaL_getmetatable(L, UJ_SCHED_TYPE);
  lua_setfield(L, state - 1, "Scheduler");
}

/* [-0, +1, m] Makes and pushes the state. It is registered last: when something
 * fails before, the next load of the module begins anew. */
static void make_state(lua_State *L)
{
  const struct uj_heap *heap = uj_allocator_install(L);
  int error = uj_standard_open();
  struct uj_state *S;
  if (error != 0)
    luaL_error(L,
               "cannot open /dev/null for a standard descriptor that is "
               "closed: %s",
               uj_driver_strerror(error));
  lua_newtable(L);
  S = push_new(L, heap);
  uj_hookerror_register(S, L);
  uj_cover_register(S, L);
  uj_nest_register(S, L);
  register_types(L);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, UJ_STATE_UV_TYPES);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &uj_state_key);
  if (S->tracked->state != NULL)
    uj_tracked_open(L, S->tracked);
}

void uj_lifetime_push_state(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &uj_state_key) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  make_state(L);
}
