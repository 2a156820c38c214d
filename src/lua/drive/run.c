#include "lua/drive/run.h"

#include <lauxlib.h>

#include "core/admit.h"
#include "core/end.h"
#include "core/turn.h"
#include "loop/driver.h"
#include "lua/api/nursery.h"
#include "lua/api/spawn.h"
#include "lua/api/stats.h"
#include "lua/api/work.h"
#include "lua/base/args.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/embed.h"
#include "lua/drive/luv.h"
#include "lua/drive/options.h"
#include "lua/drive/stuck.h"
#include "lua/drive/turn.h"
#include "lua/engine/interrupt.h"
#include "lua/engine/signal.h"
#include "lua/state/error.h"
#include "lua/state/job.h"
#include "lua/state/outcome.h"

/* The least time between two looks at I/O, signals and the system's clock while
 * jobs are ready or deadlines follow close upon each other: going to sleep and
 * waking up costs about as much as running twenty jobs. It bounds how much
 * later a job may be for the sake of all: 50 us, and 20 ns more for each
 * job that lives, up to 1 ms. */
#define LOOK_NS UINT64_C(50000)
#define LOOK_TICKS UINT64_C(20000) /* no more than that on any processor: */
#define TICK_NS UINT64_C(3)        /* a tick takes less */
#define LOOK_JOB_NS UINT64_C(20)
#define LOOK_MAX_NS UINT64_C(1000000)

/* ---- looking at the world between two turns ----------------------------- */

/* What run() has on its stack while the loop runs. */
enum { AT_SCHED = 1, AT_JOB };

/* [-(0|1), +0, -] An error that comes out of a guest's loop, from no job, ends
 * the run: see look(). */
static void check_guest(struct uj_state *S, lua_State *L, int status)
{
  if (status != LUA_OK)
    uj_state_keep_error(S, L);
}

/* Nothing is ready: waits in real time for luv, a signal, or our deadline. */
static void wait_for_io(struct uj_state *S, lua_State *L, uint64_t due_ns,
                        bool luv)
{
  int fd = -1;
  if (luv)
    due_ns = uj_clock_min(due_ns, uj_luv_due(S, L, &fd));
  if (S->cqueues.threads > 0)
    due_ns = uj_clock_min(due_ns, S->cqueues.due_ns);
  uj_driver_watch(S->driver, UJ_GUEST_LUV, fd);
  uj_watch_sleep(&S->watch);
  uj_driver_wait(S->driver, due_ns);
  uj_watch_awake(&S->watch);
}

static uint64_t next_look(const struct uj_state *S)
{
  uint64_t span_ns = LOOK_NS + uj_slots_used(&S->jobs) * LOOK_JOB_NS;
  return S->looked_ns + uj_clock_min(span_ns, LOOK_MAX_NS);
}

/* Nothing can ever wake a job again. All is unwound, by force if need be, and
 * run() raises the error. */
static void give_up(struct uj_state *S, lua_State *L)
{
  uj_stuck_push_error(S, L);
  uj_state_keep_error(S, L);
  uj_loop_close(&S->loop, S->main->core.sched->close_ns);
}

/* Time that jumps does not wait for signals: they are looked at on the way. */
static void poll_sometimes(struct uj_state *S)
{
  uint64_t ticks = uj_driver_ticks();
  if (ticks != 0 && ticks - S->looked_ticks < LOOK_TICKS)
    return;
  S->looked_ticks = ticks;
  uj_driver_poll(S->driver);
}

static void wait(struct uj_state *S, lua_State *L, bool luv)
{
  uint64_t due_ns = uj_loop_due(&S->loop);
  bool io = luv || S->working > 0 || S->cqueues.threads > 0;
  if (due_ns == UJ_NEVER && !io) {
    give_up(S, L);
    return;
  }
  if (!S->is_virtual)
    wait_for_io(S, L, uj_clock_max(due_ns, next_look(S)), luv);
  else if (io)
    wait_for_io(S, L, UJ_NEVER, luv);
  else {
    poll_sometimes(S);
    S->virtual_ns = due_ns;
  }
}

/* What has come while nobody looked, the process being stopped maybe, has come
 * before the deadlines that have passed by now. */
static void look_again(struct uj_state *S, lua_State *L, bool luv)
{
  bool seen = uj_driver_seen(S->driver, UJ_GUEST_LUV);
  if (S->is_virtual || uj_timers_due(&S->loop.timers) > uj_driver_now())
    return;
  if (luv && seen)
    check_guest(S, L, uj_luv_run(S, L));
  check_guest(S, L, uj_cqueues_look(S, L));
}

static void look(struct uj_state *S, lua_State *L)
{
  bool luv = !S->luv_is_host && uj_luv_loaded(S, L), alive;
  S->looked_ns = uj_driver_now();
  if (luv && uj_luv_alive(S, L))
    check_guest(S, L, uj_luv_run(S, L));
  check_guest(S, L, uj_cqueues_look(S, L));
  alive = luv && uj_luv_alive(S, L);
  if (uj_loop_ready(&S->loop))
    uj_driver_poll(S->driver);
  else
    wait(S, L, alive);
  look_again(S, L, luv);
  uj_work_look(S);
  if (luv)
    uj_luv_update_time(S, L);
  if (!uj_hub_is_nil(S->hub, UJ_HUB_ERROR))
    uj_job_cancel(&S->main->core);
  uj_signal_take(S);
}

/* Not later than that is it in real time. */
static uint64_t latest(const struct uj_state *S, uint64_t ticks)
{
  return S->is_virtual ? UJ_NEVER
                       : S->clock_ns + (ticks - S->looked_ticks) * TICK_NS;
}

/* Reading the clock costs as much as a switch between two jobs. The processor's
 * own counter says when it is worth it; where there is none, it always is. What
 * it says is told to the loop, too, for its deadlines. */
static bool look_is_due(struct uj_state *S)
{
  uint64_t ticks = uj_driver_ticks();
  if (!uj_loop_ready(&S->loop))
    return true;
  if (ticks != 0 && ticks - S->looked_ticks < LOOK_TICKS) {
    S->loop.latest_ns = latest(S, ticks);
    return false;
  }
  S->looked_ticks = ticks;
  S->clock_ns = uj_driver_now();
  if (S->clock_ns - S->looked_ns >= LOOK_NS)
    return true;
  S->loop.latest_ns = latest(S, ticks);
  return false;
}

/* ---- a run -------------------------------------------------------------- */

/* Runs until the main job has ended; or until the loop has to go on inside of
 * cqueues. */
static void drive_main(struct uj_state *S, lua_State *L)
{
  while (!uj_cqueues_must_enter(S)) {
    uj_drive_turn(S, L);
    if (uj_job_ended(&S->main->core))
      break;
    if (look_is_due(S))
      look(S, L);
  }
}

/* What the clean-up of one scheduler spawns on another ends, too. */
static void drive_rest(struct uj_state *S, lua_State *L)
{
  uj_loop_close(&S->loop, UJ_NEVER);
  for (;;) {
    uj_loop_close_open(&S->loop);
    if (!uj_loop_live(&S->loop))
      break;
    look(S, L);
    uj_drive_turn(S, L);
  }
}

/* (state) */
static int drive_inside(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  lua_State *outer = S->L;
  S->L = L;
  luaL_checkstack(L, 2 * LUA_MINSTACK, "uvjobs");
  drive_main(S, L);
  drive_rest(S, L);
  S->L = outer;
  return 0;
}

/* Runs until the main job has ended, and then until nothing is left. */
static void drive(struct uj_state *S, lua_State *L)
{
  if (!S->luv_is_host && uj_luv_loaded(S, L))
    uj_luv_update_time(S, L);
  drive_main(S, L);
  if (uj_cqueues_must_enter(S) &&
      uj_cqueues_enter(S, L, drive_inside, S) != LUA_OK)
    uj_state_keep_error(S, L);
  S->L = L;
  drive_rest(S, L);
}

/* Returns 0 or a negative error of libuv; nothing has been started then. */
static int open_driver(struct uj_state *S, const struct uj_run_options *options)
{
  int error = S->driver == NULL ? uj_driver_new(&S->driver) : 0;
  if (error == 0 && options->signals)
    error = uj_driver_start_signals(S->driver);
  return error;
}

/* Jobs that somebody else's loop drives go on beside the main job. */
static void begin_clock(struct uj_state *S, bool is_virtual)
{
  S->is_virtual = is_virtual;
  S->virtual_ns = 0;
  if (uj_timers_due(&S->loop.timers) == UJ_NEVER)
    uj_timers_init(&S->loop.timers, uj_loop_now(&S->loop));
}

/* [-0, +0, m] What can fail comes first. */
static void begin(struct uj_state *S, lua_State *L,
                  const struct uj_run_options *options)
{
  struct uj_ljob *job;
  int error;
  luaL_checkstack(L, 2 * LUA_MINSTACK, "uvjobs");
  job = uj_spawn_make_main(S, L, AT_SCHED, "run");
  job->is_awaited = true;
  job->core.sched->slice_ns = options->slice_ns;
  error = open_driver(S, options);
  if (error != 0) {
    uj_slots_drop(&S->jobs, job->slot);
    luaL_error(L, "cannot run: %s", uj_driver_strerror(error));
  }
  uj_interrupt_stop(S);
  uj_drive_options_apply(S, &options->loop);
  uj_interrupt_start(S);
  S->loop.asleep = false;
  S->L = L;
  S->luv_is_host = uj_luv_loaded(S, L) && uj_luv_running(S, L);
  S->main = job;
  S->signal = 0;
  S->looked_ns = 0;
  S->looked_ticks = 0;
  begin_clock(S, options->is_virtual);
  if (options->loop.timed)
    uj_stats_forget_longest(S);
  (void)uj_sched_spawn(job->core.sched, &job->core);
}

/* Handles of luv that were closed at last are let go of in its loop; without it
 * luv 1.44 touches freed memory when the Lua state closes. */
static void finish_luv(struct uj_state *S, lua_State *L)
{
  int fd;
  if (!S->luv_is_host && uj_luv_loaded(S, L) && uj_luv_alive(S, L) &&
      uj_luv_due(S, L, &fd) <= uj_driver_now())
    check_guest(S, L, uj_luv_run(S, L));
}

static void end(struct uj_state *S, lua_State *L)
{
  finish_luv(S, L);
  uj_drive_trim(S, L);
  uj_driver_watch(S->driver, UJ_GUEST_LUV, -1);
  uj_driver_stop_signals(S->driver);
  uj_interrupt_stop(S);
  S->L = NULL;
  S->main = NULL;
  begin_clock(S, false);
  uj_embed_settle(S, L);
}

/* A main job that a signal has cancelled before it began had nobody to make its
 * error. */
static int results(struct uj_state *S, lua_State *L)
{
  const struct uj_ljob *job = uj_ljob_at(L, AT_JOB);
  if (job->core.state != UJ_JOB_CANCELLED || job->core.started ||
      S->signal == 0)
    return uj_outcome_push_results(L, AT_JOB);
  uj_outcome_push_error(L, AT_JOB);
  uj_error_set_signal(L, -1, S->signal);
  return lua_error(L);
}

int uj_run_run(lua_State *L)
{
  static const struct uj_callee callee = {"run", 0};
  struct uj_run_options options = {.signals = true, .slice_ns = UJ_NEVER};
  struct uj_state *S = uj_state(L);
  int fn = lua_istable(L, 1) ? 2 : 1;
  uj_drive_options_init(&options.loop);
  if (fn == 2)
    uj_drive_options_read_run(L, &callee, &options);
  uj_arg_function(L, &callee, fn);
  if (S->L != NULL)
    return luaL_error(L, "run is already running");
  if (uj_embed_attached(S))
    return luaL_error(L, "uvjobs is attached to luv's loop, which runs the "
                         "jobs: run cannot");
  if (options.is_virtual && uj_timers_due(&S->loop.timers) != UJ_NEVER)
    return luaL_error(L, "jobs wait for the real time that were started "
                         "outside run: its clock cannot be virtual");
  if (fn == 2)
    lua_remove(L, 1);
  begin(S, L, &options);
  drive(S, L);
  uj_nursery_report_all(S);
  end(S, L);
  if (!uj_hub_is_nil(S->hub, UJ_HUB_ERROR))
    return uj_state_raise_kept(S, L);
  return results(S, L);
}
