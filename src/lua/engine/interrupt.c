#include "lua/engine/interrupt.h"
#include "lua/base/seconds.h"

#include "core/end.h"
#include "core/sched.h"
#include "core/turn.h"
#include "loop/driver.h"
#include "loop/signals.h"
#include "lua/base/inside.h"
#include "lua/engine/alarms.h"
#include "lua/engine/cover.h"
#include "lua/engine/covered.h"
#include "lua/engine/dumping.h"
#include "lua/engine/ending.h"
#include "lua/engine/hookerror.h"
#include "lua/engine/inspecting.h"
#include "lua/engine/kill.h"
#include "lua/engine/own.h"
#include "lua/engine/profiling.h"
#include "lua/engine/report.h"
#include "lua/engine/stretch.h"
#include "lua/engine/suspend.h"
#include "lua/engine/unwind.h"
#include "lua/state/job.h"

/* A job is not interrupted again before this time has passed, except for what
 * has an exact time. */
#define SOON_NS UINT64_C(1000000)

/* Under the virtual clock an instruction counts as so long in a time slice. */
#define INSTRUCTION_NS UINT64_C(10)

/* ---- time passes --------------------------------------------------------- */

/* The alarm of the loop that is still to go off. One that has gone off waits
 * for a turn, which cannot come while a job holds the loop: it is taken out of
 * the timers, because uj_loop_expire() would set it again and again. */
static uint64_t alarm_ahead(struct uj_state *S)
{
  uint64_t alarm_ns = uj_alarms_due(S);
  if (alarm_ns > uj_loop_now(&S->loop))
    return alarm_ns;
  uj_loop_set_alarm(&S->loop, UJ_NEVER);
  return UJ_NEVER;
}

/* Moves the virtual clock to the next deadline or alarm, since no other job can
 * run meanwhile. The timers may name a time that is too early, a few times. An
 * alarm that has gone off is set to now, because the virtual clock follows the
 * timers, and would go back to its time. */
static void jump(struct uj_state *S)
{
  uint64_t due_ns, end_ns = uj_stretch_own_due(S);
  end_ns = uj_clock_min(end_ns, S->ending->force_ns);
  end_ns = uj_clock_min(end_ns, alarm_ahead(S));
  do {
    due_ns = uj_clock_min(uj_timers_due(&S->loop.timers), end_ns);
    if (due_ns == UJ_NEVER)
      break;
    S->virtual_ns = uj_clock_max(S->virtual_ns, due_ns);
  } while (!uj_loop_expire(&S->loop) && due_ns < end_ns);
  uj_loop_set_alarm(&S->loop,
                    uj_clock_max(uj_alarms_due(S), uj_loop_now(&S->loop)));
}

static void pass_time(struct uj_state *S, uint64_t now_ns, uint64_t begin_ns)
{
  uj_ending_pass_time(S);
  if (!S->is_virtual || S->ending->forces)
    (void)uj_loop_expire(&S->loop);
  else if (uj_stretch_jump_at(S, begin_ns) <= now_ns) {
    uj_stretch_jump_after(S, now_ns);
    S->stretch->exact = true;
    jump(S);
  }
}

static void report_slow(struct uj_state *S, lua_State *L, uint64_t now_ns,
                        uint64_t begin_ns)
{
  struct uj_stretch *stretch = S->stretch;
  if (stretch->slow_tick == uj_stretch_tick(S) ||
      now_ns < uj_clock_add(begin_ns, uj_stretch_slow_ns(S)))
    return;
  stretch->slow_tick = uj_stretch_tick(S);
  uj_report_blocked(S, L, uj_seconds_from_ns(now_ns - begin_ns));
}

/* ---- the job is preempted ------------------------------------------------ */

static bool can_yield(const struct uj_state *S, lua_State *L)
{
  return S->running == L && lua_isyieldable(L) && S->chain_yields;
}

/* Jobs are forced to end, but this one is where no other can have its turn.
 * After the close timeout, which any job gets that is to end, it is closed.
 * (The main job has been closed already, with a time of its own.) */
static void close_unpreemptible(struct uj_state *S, uint64_t now_ns)
{
  struct uj_stretch *stretch = S->stretch;
  struct uj_job *core = &S->current->core;
  if (!S->ending->forces || S->current == S->main)
    return;
  if (stretch->unpreemptible_tick != uj_stretch_tick(S)) {
    stretch->unpreemptible_tick = uj_stretch_tick(S);
    stretch->unpreemptible_since_ns = now_ns;
  }
  if (uj_clock_add(stretch->unpreemptible_since_ns, core->sched->close_ns) <=
      now_ns)
    uj_job_close(core, core->sched->close_ns);
}

/* Jobs are forced to end, and one on top of which this one runs should have
 * been killed by now, but cannot go on before this one has. */
static bool is_in_the_way(struct uj_state *S)
{
  const struct uj_cover *cover = S->covers->top;
  if (!S->ending->forces || S->current == S->main)
    return false;
  while (cover != NULL && cover->job->core.kill_ns > uj_loop_now(&S->loop))
    cover = cover->below;
  return cover != NULL;
}

/* Lets others run if the slice of the job is over. Where the job can yield it
 * is preempted, and true returned: then the hook must yield at once. Elsewhere
 * the others run on top of it. */
static bool preempt(struct uj_state *S, lua_State *L, uint64_t now_ns,
                    uint64_t passed_ns)
{
  if (passed_ns < uj_stretch_slice_ns(S))
    return false;
  if (!can_yield(S, L)) {
    if (is_in_the_way(S))
      uj_job_close(&S->current->core, S->current->core.sched->close_ns);
    if (!uj_cover_go_round(S, L))
      close_unpreemptible(S, now_ns);
    return false;
  }
  uj_stretch_pass_slice(S);
  uj_job_preempt(&S->current->core);
  return true;
}

/* ---- an error is raised in the job --------------------------------------- */

static void raise_reason(struct uj_state *S, lua_State *L, enum uj_wake wake)
{
  if (wake == UJ_WAKE_OK)
    return;
  if (wake == UJ_WAKE_KILLED)
    uj_kill_running(S, L);
  if (S->current == S->main)
    S->interrupt->main_at_work = true;
  uj_suspend_push_error(S, L, wake);
  uj_hookerror_raise(S, L, false);
}

/* Code that cleans up cannot protect itself from its very first instruction on.
 * So an error waits until the job has closed its to-be-closed variable. A
 * deadline does not wait longer than a job has to clean up, and the forced end
 * does not wait at all. */
static bool hold_off(struct uj_state *S, lua_State *L, enum uj_wake wake)
{
  const struct uj_job *job = &S->current->core;
  bool late = wake == UJ_WAKE_DEADLINE &&
              uj_stretch_held_until(job) <= uj_loop_now(&S->loop);
  bool held = wake != UJ_WAKE_OK && wake != UJ_WAKE_KILLED && !late &&
              uj_unwind_closes(S, L);
  S->stretch->held_tick = held ? uj_stretch_tick(S) : 0;
  return held;
}

/* Ends a supervised child that holds the loop for too long: it is closed, as if
 * somebody else had done so, and its supervisor is told why. */
static void end_busy(struct uj_state *S)
{
  struct uj_ljob *job = S->current;
  if (uj_stretch_busy_due(S) > uj_loop_now(&S->loop))
    return;
  uj_ljob_note_busy(S, job);
  uj_job_close(&job->core,
               uj_ljob_child_limit_ns(S, job, UJ_JOB_UV_CLOSE, UJ_NEVER));
}

/* The time limit of a test may have passed. Whoever wants to know where the
 * jobs stand then has to be told before this job is raised an error. */
static void poll(struct uj_state *S, lua_State *L)
{
  bool was_limited = S->ending->force_ns != UJ_NEVER;
  uj_ending_poll(S);
  if (was_limited && S->ending->forces && S->current != S->main)
    uj_suspend_tell_of_deadline(S, L);
}

/* ---- an interruption ----------------------------------------------------- */

/* The job has run for `passed_ns`, in the measure of its slice. Deadlines and
 * the report come first, since they can give the job a reason to end. This may
 * yield or raise: so it must be the last thing that a hook does. */
static void handle(struct uj_state *S, lua_State *L, uint64_t now_ns,
                   uint64_t passed_ns)
{
  uint64_t begin_ns = uj_stretch_begin(S, now_ns);
  enum uj_wake wake = UJ_WAKE_OK;
  pass_time(S, now_ns, begin_ns);
  poll(S, L);
  uj_interrupt_insist(S);
  uj_dumping_look(S, L);
  report_slow(S, L, now_ns, begin_ns);
  if (S->current->is_child)
    end_busy(S);
  if (S->stretch->exact || !S->is_virtual || S->ending->forces)
    wake = uj_job_to_raise(&S->current->core);
  if (hold_off(S, L, wake))
    wake = UJ_WAKE_OK;
  if (wake != UJ_WAKE_OK)
    uj_job_note_raised(&S->current->core, wake);
  S->stretch->exact = false;
  uj_stretch_plan(S, now_ns + SOON_NS, begin_ns);
  raise_reason(S, L, wake);
  if (preempt(S, L, now_ns, passed_ns))
    lua_yield(L, 0);
}

/* Under the virtual clock slices are counted in instructions; but a signal
 * comes in real time. */
static uint64_t passed_real(const struct uj_state *S, uint64_t now_ns,
                            uint64_t begin_ns)
{
  return S->is_virtual && !S->ending->forces ? 0 : now_ns - begin_ns;
}

/* Whether the job is to be interrupted, apart from its slice: what the monitor
 * decides where there is one. */
static bool is_due(struct uj_state *S, uint64_t now_ns, uint64_t begin_ns)
{
  unsigned signals = uj_signals_count();
  if (signals != S->interrupt->signals) {
    S->interrupt->signals = signals;
    return true;
  }
  if (atomic_load(&S->watch.due_tick) == uj_stretch_tick(S))
    return now_ns >= atomic_load(&S->watch.due_ns);
  return now_ns - begin_ns >= UJ_STRETCH_FIRST_LOOK_NS;
}

/* Whether the hook has come for a sample alone, which has been taken: looking
 * must not change when other things are done. */
static bool is_for_sample(struct uj_state *S, uint64_t now_ns,
                          uint64_t begin_ns)
{
  bool sampled = S->interrupt->sampled;
  S->interrupt->sampled = false;
  return sampled && !S->stretch->exact && !is_due(S, now_ns, begin_ns);
}

/* Runs before the next instruction of the coroutine on which it was set; inside
 * code that runs whole (own.h), before each of them. */
static void interrupt_hook(lua_State *L, lua_Debug *ar)
{
  struct uj_state *S = uj_state_registered(L);
  uint64_t now_ns, begin_ns;
  if (S->hook->on != L) {
    uj_hook_reset_stray(S, L);
    return;
  }
  if (S->profiling->period_ns != 0 && uj_hook_target(S) == L &&
      uj_profiling_look(S, L))
    S->interrupt->sampled = true;
  uj_hook_call_user(S->hook, L, ar);
  if (ar->event != uj_inside_last_event(S->hook->user_mask) ||
      lua_gethook(L) != interrupt_hook)
    return;
  now_ns = uj_driver_now();
  if (uj_hook_target(S) == L && uj_own_holds(S, L, ar, now_ns))
    return;
  uj_hook_take_off(S);
  if (uj_hook_target(S) != L || S->current == NULL || S->killing)
    return;
  if (uj_inspecting_look(S, L))
    return; /* what else is due comes with the next signal */
  begin_ns = uj_stretch_begin(S, now_ns);
  if (is_for_sample(S, now_ns, begin_ns))
    return;
  handle(S, L, now_ns, passed_real(S, now_ns, begin_ns));
}

/* ---- the hook that counts ------------------------------------------------ */

/* The caller of run() may have a hook for other events: the job's coroutines
 * call it, too. */
static void call_hook_of_caller(const struct uj_state *S, lua_State *L,
                                lua_Debug *ar)
{
  if (ar->event != LUA_HOOKCOUNT && lua_gethook(S->L) != NULL)
    lua_gethook(S->L)(L, ar);
}

/* Interrupts the job if its slice is over or something else is due. */
static void check(struct uj_state *S, lua_State *L, uint64_t now_ns,
                  uint64_t begin_ns)
{
  uint64_t passed_ns =
      S->is_virtual ? S->stretch->counted * INSTRUCTION_NS : now_ns - begin_ns;
  bool slice_over = passed_ns >= uj_stretch_slice_ns(S);
  if (!slice_over && !is_due(S, now_ns, begin_ns))
    return;
  S->stretch->exact = slice_over;
  handle(S, L, now_ns, passed_ns);
}

/* Where there is no signal, and for slices under the virtual clock. Coroutines
 * that a job makes inherit it. */
static void count_hook(lua_State *L, lua_Debug *ar)
{
  struct uj_state *S = uj_state_registered(L);
  uint64_t now_ns, begin_ns;
  if (S->L == NULL || S->current == NULL || S->killing) {
    uj_hook_reset_stray(S, L);
    return;
  }
  call_hook_of_caller(S, L, ar);
  now_ns = uj_driver_now();
  uj_profiling_count(S, L, now_ns);
  begin_ns = uj_stretch_begin(S, now_ns);
  if (ar->event == LUA_HOOKCOUNT)
    S->stretch->counted += UJ_HOOK_COUNT_EVERY;
  if (ar->event != uj_inside_last_event(lua_gethookmask(L)) ||
      uj_own_holds(S, L, ar, now_ns))
    return;
  (void)uj_inspecting_look(S, L);
  check(S, L, now_ns, begin_ns);
}

const struct uj_hooks uj_interrupt_hooks = {
    .interrupt = interrupt_hook,
    .count = count_hook,
    .kill = uj_kill_hook,
};

/* ---- beginning and end --------------------------------------------------- */

void uj_interrupt_add_slice(struct uj_state *S, uint64_t slice_ns)
{
  if (slice_ns < atomic_load(&S->watch.span_ns))
    atomic_store(&S->watch.span_ns, slice_ns);
}

static uint64_t shortest_slice(const struct uj_state *S)
{
  const struct uj_link *list = &S->loop.scheds;
  uint64_t slice_ns = UJ_STRETCH_FIRST_LOOK_NS;
  for (struct uj_link *link = list->next; link != list; link = link->next)
    slice_ns = uj_clock_min(
        slice_ns, uj_container(link, struct uj_sched, link)->slice_ns);
  return slice_ns;
}

void uj_interrupt_start(struct uj_state *S)
{
  atomic_store(&S->watch.span_ns, shortest_slice(S));
  S->watch.poke.interrupt = uj_hook_on_signal;
  S->watch.poke.arg = S;
  S->interrupt->signals = uj_signals_count();
  S->interrupt->main_at_work = false;
  if (S->hook->mode == UJ_INTERRUPT_SIGNAL && uj_monitor_add(&S->watch) != 0)
    S->hook->mode = UJ_INTERRUPT_COUNT;
  S->interrupt->started = true;
  uj_inspecting_start(S);
}

void uj_interrupt_stop(struct uj_state *S)
{
  uj_inspecting_stop(S);
  if (S->interrupt->started && S->hook->mode == UJ_INTERRUPT_SIGNAL)
    uj_monitor_remove(&S->watch);
  S->interrupt->started = false;
}

void uj_interrupt_insist(struct uj_state *S)
{
  if (S->hook->mode != UJ_INTERRUPT_NONE || !S->ending->begun ||
      S->outer->is_stopped == NULL)
    return;
  S->hook->mode = UJ_INTERRUPT_SIGNAL;
  S->watch.poke.signal = uj_poke_signal();
  uj_interrupt_start(S);
}

static int main_at_work(lua_State *L)
{
  lua_pushboolean(L, uj_state(L)->interrupt->main_at_work);
  return 1;
}

const luaL_Reg uj_interrupt_internals[] = {{"main_at_work", main_at_work},
                                           {NULL, NULL}};
