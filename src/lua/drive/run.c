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
#include "lua/api/making.h"
#include "lua/api/nursery.h"
#include "lua/api/order.h"
#include "lua/api/stats.h"
#include "lua/base/args.h"
#include "lua/base/text.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/embed.h"
#include "lua/drive/guests.h"
#include "lua/drive/luv.h"
#include "lua/drive/options.h"
#include "lua/drive/poll.h"
#include "lua/drive/together.h"
#include "lua/drive/turn.h"
#include "lua/engine/ending.h"
#include "lua/engine/interrupt.h"
#include "lua/insight/glance.h"
#include "lua/measure/times.h"
#include "lua/repeating/repeating.h"
#include "lua/service/crew.h"
#include "lua/service/service.h"
#include "lua/state/error.h"
#include "lua/state/job.h"
#include "lua/state/outcome.h"
#include "random/random.h"

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
    if (uj_poll_is_due(S))
      uj_poll(S, L);
  }
}

/* Runs until nothing is left: what the clean-up of one scheduler spawns on
 * another ends, too. */
static void drive_rest(struct uj_state *S, lua_State *L)
{
  for (;;) {
    uj_drive_close_rest(S, L);
    if (!uj_loop_live(&S->loop))
      break;
    uj_poll(S, L);
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
  S->virtual_ns = is_virtual ? uj_together_now(S) : 0;
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
  job = uj_make_main(S, L, AT_SCHED, "run");
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
  uj_poll_begin(S);
  begin_clock(S, options->is_virtual);
  if (job->core.timed)
    uj_meter_birth(S, job); /* by that clock */
  if (options->is_virtual)
    uj_date_begin_virtual(S, options->date_ns);
  uj_together_begin(S);
  uj_ages_note(&S->insight->ages, job->core.id - 1, uj_loop_now(&S->loop));
  uj_random_init(S->random, seed(options));
  if (options->loop.timed)
    uj_meter_forget_longest(S);
  (void)uj_sched_spawn(job->core.sched, &job->core);
}

static void end(struct uj_state *S, lua_State *L)
{
  uj_services_end_run(S);
  uj_lcrew_end(S);
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
  uj_together_set_options(S, &options);
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

static int l_count_processors(lua_State *L)
{
  lua_pushinteger(L, uj_tasks_count_processors());
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
                                     {"count_processors", l_count_processors},
                                     {"flush", l_flush},
                                     {"is_interactive", l_is_interactive},
                                     {"has_descriptors", l_has_descriptors},
                                     {"terminal_size", l_terminal_size},
                                     {"tie_group", l_tie_group},
                                     {"untie_group", l_untie_group},
                                     {NULL, NULL}};
