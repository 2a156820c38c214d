#include "lua/drive/run.h"

#include <lauxlib.h>

#include "core/admit.h"
#include "core/end.h"
#include "core/turn.h"
#include "loop/driver.h"
#include "loop/groups.h"
#include "loop/signals.h"
#include "loop/standard.h"
#include "loop/task.h"
#include "lua/api/date.h"
#include "lua/api/exit.h"
#include "lua/api/nursery.h"
#include "lua/api/order.h"
#include "lua/api/spawn.h"
#include "lua/api/stats.h"
#include "lua/api/work.h"
#include "lua/base/args.h"
#include "lua/base/text.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/embed.h"
#include "lua/drive/guests.h"
#include "lua/drive/luv.h"
#include "lua/drive/options.h"
#include "lua/drive/stuck.h"
#include "lua/drive/turn.h"
#include "lua/engine/dumping.h"
#include "lua/engine/ending.h"
#include "lua/engine/inspecting.h"
#include "lua/engine/interrupt.h"
#include "lua/insight/glance.h"
#include "lua/measure/times.h"
#include "lua/repeating/repeating.h"
#include "lua/service/service.h"
#include "lua/state/error.h"
#include "lua/state/job.h"
#include "lua/state/outcome.h"
#include "lua/supervisor/children.h"
#include "random/random.h"

/* While jobs are ready, or deadlines follow each other closely, I/O, signals
 * and the system's clock are polled only so often, because going to sleep and
 * waking up costs about as much as running twenty jobs. A job can be late by as
 * much as this: 50 us, and 20 ns more for each job that lives, up to 1 ms. */
#define POLL_NS UINT64_C(50000)
#define POLL_JOB_NS UINT64_C(20)
#define POLL_MAX_NS UINT64_C(1000000)

/* POLL_TICKS of the processor's counter take no longer than POLL_NS on any
 * processor, and one tick no longer than TICK_NS. */
#define POLL_TICKS UINT64_C(20000)
#define TICK_NS UINT64_C(3)

/* ---- polling between two turns ------------------------------------------- */

/* Waits in real time for the guests, the threads of work(), a signal, or the
 * time. */
static void wait_for_io(struct uj_state *S, lua_State *L, uint64_t due_ns)
{
  int fd;
  due_ns = uj_clock_min(due_ns, uj_guests_due(S, L, &fd));
  uj_driver_watch(S->driver, UJ_GUEST_LUV, fd);
  uj_watch_sleep(&S->watch);
  uj_driver_wait(S->driver, due_ns);
  uj_watch_wake(&S->watch);
}

static uint64_t next_poll(const struct uj_state *S)
{
  uint64_t span_ns = POLL_NS + uj_slots_used(&S->jobs) * POLL_JOB_NS;
  return S->pace->polled_ns + uj_clock_min(span_ns, POLL_MAX_NS);
}

/* Nothing can ever wake a job again. All jobs are ended, by force if need be,
 * and run() raises the error. */
static void give_up(struct uj_state *S, lua_State *L)
{
  uj_stuck_push_error(S, L);
  uj_state_keep_error(S, L);
  uj_loop_close(&S->loop, S->main->core.sched->close_ns);
}

/* A virtual clock that jumps waits for nothing: so signals, which cost a system
 * call, are polled on the way only as often as in real time. */
static void poll_signals(struct uj_state *S)
{
  uint64_t ticks = uj_driver_ticks();
  if (ticks != 0 && ticks - S->pace->clock_ticks < POLL_TICKS)
    return;
  S->pace->clock_ticks = ticks;
  uj_driver_poll(S->driver);
}

/* Until when the virtual clock waits for I/O: for ever, unless the run is to
 * end. */
static uint64_t real_due(const struct uj_state *S, uint64_t due_ns)
{
  if (!S->ending->forces || due_ns == UJ_NEVER)
    return UJ_NEVER;
  return uj_clock_add(S->ending->real_ns,
                      due_ns - uj_clock_min(S->virtual_ns, due_ns));
}

/* Tells of jobs that only a limit can wake, if there are any. Returns whether
 * that has made a job ready. */
static bool is_told_stuck(struct uj_state *S, lua_State *L)
{
  uj_stuck_report(S, L);
  return uj_loop_ready(&S->loop);
}

/* No job is ready. `guests`: whether one of them has something to wait for. */
static void wait(struct uj_state *S, lua_State *L, bool guests)
{
  uint64_t due_ns = uj_loop_due(&S->loop);
  bool io = guests || S->work->waiting > 0;
  if (due_ns == UJ_NEVER && !io)
    give_up(S, L);
  else if (!io && is_told_stuck(S, L))
    return;
  else if (!S->is_virtual)
    wait_for_io(S, L, uj_clock_max(due_ns, next_poll(S)));
  else if (io)
    wait_for_io(S, L, real_due(S, due_ns));
  else {
    poll_signals(S);
    S->virtual_ns = due_ns;
  }
}

/* Jobs are ready, so the virtual clock stands still. When they have been for so
 * many turns (seconds of real time), they are taken for jobs that never come to
 * rest, and the clock jumps: as it does while a job computes without end. */
#define RESTLESS_TURNS UINT64_C(10000000)

void uj_run_init(struct uj_state *S)
{
  S->pace->restless_turns = RESTLESS_TURNS;
}

static void jump_if_restless(struct uj_state *S, bool guests)
{
  struct uj_pace *pace = S->pace;
  uint64_t due_ns;
  if (pace->still_ns != S->virtual_ns || guests || S->work->waiting > 0) {
    pace->still_ns = S->virtual_ns;
    pace->still_turns = S->loop.turns;
  } else if (S->loop.turns - pace->still_turns >= pace->restless_turns) {
    due_ns = uj_timers_due(&S->loop.timers);
    if (due_ns != UJ_NEVER)
      S->virtual_ns = uj_clock_max(S->virtual_ns, due_ns);
  }
}

/* Jobs are ready, so this does not wait. */
static void poll_on_the_way(struct uj_state *S, bool guests)
{
  uj_driver_poll(S->driver);
  if (S->is_virtual)
    jump_if_restless(S, guests);
}

/* I/O that arrived while we were not polling (the process may have been
 * stopped) counts as having arrived before any deadline that has since expired.
 * So when a deadline has passed, there is one look more; and what passes after
 * this reading of the clock waits for the next turn, however late this one is.
 */
static void run_late_guests(struct uj_state *S, lua_State *L)
{
  uint64_t now_ns;
  if (S->is_virtual)
    return;
  now_ns = uj_driver_now();
  S->loop.latest_ns = now_ns;
  if (uj_timers_due(&S->loop.timers) > now_ns)
    return;
  if (S->luv->is_driven)
    uj_driver_poll(S->driver);
  uj_guests_run_seen(S, L);
}

static void poll(struct uj_state *S, lua_State *L)
{
  bool guests;
  S->pace->polled_ns = uj_driver_now();
  uj_insight_note_time(S, false);
  uj_ending_pass_time(S);
  uj_guests_find(S, L);
  uj_guests_run(S, L);
  guests = uj_guests_alive(S, L);
  if (uj_loop_ready(&S->loop))
    poll_on_the_way(S, guests);
  else
    wait(S, L, guests);
  uj_ending_pass_time(S);
  run_late_guests(S, L);
  uj_work_wake_ended(S);
  uj_services_hear(S, L);
  uj_date_look(S, S->date);
  uj_guests_update_time(S, L);
  if (uj_state_has_error(S))
    uj_job_cancel(&S->main->core);
  uj_ending_take_signal(S);
  uj_interrupt_insist(S);
  uj_insight_note_time(S, true);
  uj_dumping_look(S, L);
  (void)uj_inspecting_look(S, L);
}

/* It is not later than this: the time of the last reading of the clock, and the
 * most that can have passed since. */
static uint64_t latest(const struct uj_state *S, uint64_t ticks)
{
  const struct uj_pace *pace = S->pace;
  return S->is_virtual ? UJ_NEVER
                       : pace->clock_ns + (ticks - pace->clock_ticks) * TICK_NS;
}

/* Reading the clock costs as much as a switch between two jobs. The processor's
 * own counter says when it is worth it; where there is none, it always is. The
 * loop is told how late it can be: until its next deadline it need not read the
 * clock, either. */
static bool poll_is_due(struct uj_state *S)
{
  struct uj_pace *pace = S->pace;
  uint64_t ticks = uj_meter_ticks(S);
  if (!uj_loop_ready(&S->loop))
    return true;
  if (ticks != 0 && ticks - pace->clock_ticks < POLL_TICKS) {
    S->loop.latest_ns = latest(S, ticks);
    return false;
  }
  pace->clock_ticks = ticks;
  pace->clock_ns = uj_driver_now();
  if (pace->clock_ns - pace->polled_ns >= POLL_NS)
    return true;
  S->loop.latest_ns = latest(S, ticks);
  return false;
}

/* ---- a run --------------------------------------------------------------- */

/* How long the main job has to end after a signal, unless run() is told: what
 * container systems give a process before they end it by force. */
#define CLOSE_NS UINT64_C(10000000000)

/* The stack of run() while the loop runs. */
enum { AT_SCHED = 1, AT_JOB };

/* Runs until the main job has ended; or until the loop has to go on inside of
 * cqueues. */
static void drive_main(struct uj_state *S, lua_State *L)
{
  while (!uj_cqueues_must_enter(S)) {
    uj_drive_turn(S, L);
    if (uj_job_ended(&S->main->core))
      break;
    if (poll_is_due(S))
      poll(S, L);
  }
}

/* Runs until nothing is left: what the clean-up of one scheduler spawns on
 * another ends, too. Only a new scheduler makes it necessary to look at all of
 * them again. */
static void drive_rest(struct uj_state *S, lua_State *L)
{
  uint64_t seen = 0;
  uj_loop_close(&S->loop, UJ_NEVER);
  for (;;) {
    if (seen != S->loop.nscheds) {
      seen = S->loop.nscheds;
      uj_loop_close_open(&S->loop);
      uj_children_stop(S, L);
    }
    if (!uj_loop_live(&S->loop))
      break;
    poll(S, L);
    uj_drive_turn(S, L);
  }
}

static void drive_all(struct uj_state *S, lua_State *L)
{
  drive_main(S, L);
  drive_rest(S, L);
}

/* An error of cqueues may end what runs inside of it: the rest runs outside. */
static void drive(struct uj_state *S, lua_State *L)
{
  uj_guests_find(S, L);
  uj_guests_update_time(S, L);
  drive_main(S, L);
  if (uj_cqueues_must_enter(S))
    uj_cqueues_enter(S, L, drive_all);
  drive_rest(S, L);
}

/* Returns 0 or a negative error of libuv; nothing has been started then. */
static int open_driver(struct uj_state *S, const struct uj_run_options *options)
{
  int error = uj_drive_open(S);
  if (error == 0)
    error = uj_signals_start(uj_driver_signals(S->driver), options->signals,
                             options->dumps);
  return error;
}

static int do_nothing(lua_State *L)
{
  (void)L;
  return 0;
}

/* [-0, +(0|1), -] SIGINT may have come just before the signals were taken. Then
 * the interpreter's hook waits for the next call in this coroutine to raise its
 * error, and that must not be one of ours, after the main job has begun.
 * Returns LUA_OK; or another status, with the error on the top. */
static int meet_hook(lua_State *L)
{
  if (lua_gethook(L) == NULL)
    return LUA_OK;
  lua_pushcfunction(L, do_nothing);
  return lua_pcall(L, 0, 0, 0);
}

/* The timers begin anew with the clock, unless jobs that were started outside
 * run() wait for it. */
static void begin_clock(struct uj_state *S, bool is_virtual)
{
  uj_loop_stop_times(&S->loop);
  uj_times_stop(S);
  S->is_virtual = is_virtual;
  S->virtual_ns = 0;
  uj_ages_clear(&S->insight->ages);
  S->nvirtual += is_virtual;
  uj_loop_start_times(&S->loop);
  uj_times_start(S);
  uj_lorder_restart(S);
  if (uj_timers_due(&S->loop.timers) == UJ_NEVER)
    uj_timers_init(&S->loop.timers, uj_loop_now(&S->loop));
}

/* [-n, +2, v] Does what can fail: makes the main job, and what it is to wait
 * on. Stack: fn, arguments; then as above. */
static struct uj_ljob *prepare(struct uj_state *S, lua_State *L,
                               const struct uj_run_options *options)
{
  struct uj_ljob *job;
  int error;
  luaL_checkstack(L, 2 * LUA_MINSTACK, "uvjobs");
  uj_times_use(S, UJ_METER_STATS, options->loop.timed);
  job = uj_spawn_make_main(S, L, AT_SCHED, "run");
  job->is_awaited = true;
  job->core.sched->slice_ns = options->slice_ns;
  error = open_driver(S, options);
  if (error != 0) {
    uj_slots_drop(&S->jobs, job->slot);
    luaL_error(L, "cannot run: %s", uj_driver_strerror(error));
  }
  if (meet_hook(L) != LUA_OK) {
    uj_signals_stop(uj_driver_signals(S->driver));
    uj_slots_drop(&S->jobs, job->slot);
    lua_error(L);
  }
  return job;
}

/* A run under the virtual clock is the same each time. */
static uint64_t seed(const struct uj_run_options *options)
{
  if (options->has_random || options->is_virtual)
    return options->random;
  return uj_driver_now() ^ uj_driver_ticks();
}

static void begin_pace(struct uj_state *S)
{
  *S->pace = (struct uj_pace){.still_turns = S->loop.turns,
                              .restless_turns = S->pace->restless_turns};
}

static void begin(struct uj_state *S, lua_State *L, struct uj_ljob *job,
                  const struct uj_run_options *options)
{
  uj_interrupt_stop(S);
  uj_drive_options_apply(S, &options->loop);
  uj_interrupt_start(S);
  uj_tasks_set_limit(uj_driver_tasks(S->driver), options->threads);
  uj_loop_set_asleep(&S->loop, false);
  S->L = L;
  uj_luv_find_host(S, L);
  S->main = job;
  uj_ending_init(S, options->close_ns);
  S->ending->blocks_child = uj_signals_unblock_child();
  begin_pace(S);
  begin_clock(S, options->is_virtual);
  if (job->core.timed)
    uj_meter_birth(S, job); /* by that clock */
  if (options->is_virtual)
    uj_date_begin_virtual(S, options->date_ns);
  uj_ages_note(&S->insight->ages, job->core.id - 1, uj_loop_now(&S->loop));
  uj_random_init(S->random, seed(options));
  if (options->loop.timed)
    uj_meter_forget_longest(S);
  (void)uj_sched_spawn(job->core.sched, &job->core);
}

static void end(struct uj_state *S, lua_State *L)
{
  uj_guests_finish(S, L);
  uj_drive_trim(S, L);
  uj_driver_watch(S->driver, UJ_GUEST_LUV, -1);
  uj_signals_stop(uj_driver_signals(S->driver));
  if (S->ending->blocks_child)
    uj_signals_block_child();
  uj_interrupt_stop(S);
  S->L = NULL;
  S->main = NULL;
  uj_ending_forget(S);
  begin_clock(S, false);
  uj_embed_arm(S, L);
}

/* Whether the error of the main job is made only now: it was cancelled before
 * it began, or has let go of its `killed` error. */
static bool has_late_error(const struct uj_ljob *job)
{
  return job->core.state == UJ_JOB_KILLED ||
         (job->core.state == UJ_JOB_CANCELLED && !job->core.started);
}

/* [-0, +n, v] Pushes what the main job has returned, or raises its error. One
 * that is made only now has yet to be told of the signal. */
static int results(struct uj_state *S, lua_State *L)
{
  if (S->ending->signal == 0 || !has_late_error(uj_ljob_at(L, AT_JOB)))
    return uj_outcome_push_results(L, AT_JOB);
  uj_outcome_push_error(L, AT_JOB);
  uj_error_set_signal(L, -1, S->ending->signal);
  return lua_error(L);
}

/* [-1, +0, m] Writes the error on the top to standard error. */
static void write_error(lua_State *L)
{
  uj_text_write_error("%s\n", uj_text_push(L, -1, "(%s without a text)"));
  lua_pop(L, 2);
}

/* Nobody else gets the error of the main job, or of a guest, when the process
 * exits. */
static void write_errors(struct uj_state *S, lua_State *L)
{
  enum uj_job_state state =
      (enum uj_job_state)uj_ljob_at(L, AT_JOB)->core.state;
  if (state == UJ_JOB_FAILED || state == UJ_JOB_KILLED) {
    uj_outcome_push_error(L, AT_JOB);
    write_error(L);
  }
  if (uj_state_has_error(S)) {
    uj_hub_push(S->hub, L, UJ_HUB_ERROR);
    write_error(L);
  }
}

/* What to do instead: the first program of many is an example for the plain
 * interpreter, run by the command. */
#define IN_A_JOB                                                              \
  ": this is a job already, as a script of the command 'uvjobs' is, so call " \
  "the function itself"

/* [-0, +0, v] */
static void check_can_run(struct uj_state *S, lua_State *L, bool is_virtual)
{
  if (S->L != NULL)
    luaL_error(L, "run is already running%s",
               S->current == NULL ? "" : IN_A_JOB);
  if (uj_embed_attached(S))
    luaL_error(L, "uvjobs is attached to luv's loop, which runs the "
                  "jobs: run cannot");
  if (is_virtual && uj_timers_due(&S->loop.timers) != UJ_NEVER)
    luaL_error(L, "jobs wait for the real time that were started "
                  "outside run: its clock cannot be virtual");
}

/* run([opts,] fn, ...) */
static int l_run(lua_State *L)
{
  static const struct uj_callee callee = {"run", 0};
  struct uj_run_options options = {.signals = UJ_SIGNALS_DEFAULT,
                                   .slice_ns = UJ_NEVER,
                                   .close_ns = CLOSE_NS,
                                   .date_ns = UJ_DATE_VIRTUAL_NS};
  struct uj_state *S = uj_state(L);
  int fn = lua_istable(L, 1) ? 2 : 1;
  uj_drive_options_init(&options.loop);
  if (fn == 2)
    uj_drive_options_read_run(L, &callee, &options);
  uj_arg_function(L, &callee, fn);
  check_can_run(S, L, options.is_virtual);
  if (fn == 2)
    lua_remove(L, 1);
  begin(S, L, prepare(S, L, &options), &options);
  drive(S, L);
  uj_nursery_report_all(S);
  end(S, L);
  if (S->ending->exits) {
    write_errors(S, L);
    uj_exit_leave(S, L);
  }
  if (uj_state_has_error(S))
    return uj_state_raise_kept(S, L);
  return results(S, L);
}

static int l_restless_turns(lua_State *L)
{
  struct uj_pace *pace = uj_state(L)->pace;
  lua_Integer turns = luaL_checkinteger(L, 1);
  lua_pushinteger(L, (lua_Integer)pace->restless_turns);
  pace->restless_turns = (uint64_t)turns;
  return 1;
}

static int l_catch_sigpipe(lua_State *L)
{
  (void)L;
  uj_signals_catch_sigpipe();
  return 0;
}

static int l_is_interactive(lua_State *L)
{
  lua_pushboolean(L, uj_standard_is_interactive());
  return 1;
}

/* terminal_size(fd): columns and rows; nothing if it is no terminal. */
static int l_terminal_size(lua_State *L)
{
  int columns, rows;
  if (!uj_standard_get_size((int)luaL_checkinteger(L, 1), &columns, &rows))
    return 0;
  lua_pushinteger(L, columns);
  lua_pushinteger(L, rows);
  return 2;
}

static int l_flush(lua_State *L)
{
  lua_pushboolean(L, uj_standard_flush());
  return 1;
}

static int l_has_descriptors(lua_State *L)
{
  int n = (int)luaL_checkinteger(L, 1);
  lua_pushboolean(L, uj_standard_has_descriptors(n));
  return 1;
}

/* tie_group(group): a second signal is to end this process group, too. */
static int l_tie_group(lua_State *L)
{
  lua_pushboolean(L, uj_groups_add((int)luaL_checkinteger(L, 1)));
  return 1;
}

static int l_untie_group(lua_State *L)
{
  uj_groups_remove((int)luaL_checkinteger(L, 1));
  return 0;
}

const luaL_Reg uj_run_functions[] = {{"run", l_run}, {NULL, NULL}};

const luaL_Reg uj_run_internals[] = {{"restless_turns", l_restless_turns},
                                     {"catch_sigpipe", l_catch_sigpipe},
                                     {"flush", l_flush},
                                     {"is_interactive", l_is_interactive},
                                     {"has_descriptors", l_has_descriptors},
                                     {"terminal_size", l_terminal_size},
                                     {"tie_group", l_tie_group},
                                     {"untie_group", l_untie_group},
                                     {NULL, NULL}};
