#include "lua/engine/interrupt.h"

#include <lauxlib.h>
#include <string.h>

#include "core/sched.h"
#include "loop/driver.h"
#include "lua/drive/run.h"
#include "lua/engine/hookerror.h"
#include "lua/engine/kill.h"
#include "lua/engine/report.h"
#include "lua/engine/suspend.h"
#include "lua/engine/unwind.h"
#include "lua/state/job.h"

/* A job is looked at for the first time after so long: then its limits are
 * known to the monitor to the nanosecond. */
#define FIRST_LOOK_NS UINT64_C(10000000)

/* What has no exact time is not looked at more often than this. */
#define SOON_NS UINT64_C(1000000)

/* Where instructions are counted: so many at a time. */
enum { COUNT_EVERY = 1000 };

/* Under the virtual clock an instruction counts as so long in a time slice. */
#define INSTRUCTION_NS UINT64_C(10)

/* The slice of jobs while the main job waits to end the run. */
#define FORCED_NS UINT64_C(10000000)

/* In debug mode a job is reported after so long, if not told otherwise. */
#define DEBUG_SLOW_NS UINT64_C(100000000)

/* The virtual clock stands still while a job computes. After so much real time
 * it is taken for one that never ends, and time jumps to the next deadline. */
#define PATIENCE_NS UINT64_C(1000000000)

/* ---- the hook and where it is -------------------------------------------- */

static void interrupt_hook(lua_State *L, lua_Debug *ar);
static void count_hook(lua_State *L, lua_Debug *ar);

/* Also called in the signal handler. It sets a hook again that is there: Lua
 * overlooks one that is set while it sees that there is none. */
static void arm(struct uj_state *S, lua_State *co)
{
  struct uj_interrupt *self = &S->interrupt;
  if (lua_gethook(co) != interrupt_hook) {
    self->hooked = co;
    self->user_hook = lua_gethook(co);
    self->user_mask = lua_gethookmask(co);
    self->user_count = lua_gethookcount(co);
  }
  lua_sethook(co, interrupt_hook, self->user_mask | LUA_MASKCOUNT, 1);
}

/* Gives the user's hook back, unless another one was set meanwhile. */
static void disarm(struct uj_state *S)
{
  struct uj_interrupt *self = &S->interrupt;
  lua_State *co = self->hooked;
  self->hooked = NULL;
  if (co != NULL && lua_gethook(co) == interrupt_hook)
    lua_sethook(co, self->user_hook, self->user_mask, self->user_count);
}

void uj_interrupt_move(struct uj_state *S, lua_State *co)
{
  struct uj_interrupt *self = &S->interrupt;
  self->moving = true;
  if (self->hooked != co)
    disarm(S);
  if (co == NULL)
    self->asked = false;
  else if (S->killing)
    uj_kill_set_hook(co);
  else if (self->asked)
    arm(S, co);
  self->moving = false;
}

/* In the signal handler. A job that is being killed, or whose instructions are
 * counted, is looked after. */
static void on_signal(void *arg)
{
  struct uj_state *S = arg;
  lua_State *co = S->running;
  if (co == NULL || S->killing || lua_gethook(co) == count_hook)
    return;
  S->interrupt.asked = true;
  if (!S->interrupt.moving)
    arm(S, co);
}

/* ---- the stretch: since the job was resumed ------------------------------ */

static uint64_t this_tick(const struct uj_state *S)
{
  return atomic_load_explicit(&S->interrupt.watch.tick, memory_order_relaxed);
}

/* Since when it has run. Where nobody has looked at the clock when it began,
 * the monitor has, a little later. */
static uint64_t stretch_begin(struct uj_state *S, uint64_t now_ns)
{
  struct uj_interrupt *self = &S->interrupt;
  if (self->stretch_tick != this_tick(S)) {
    self->stretch_tick = this_tick(S);
    self->stretch_ns = uj_clock_min(now_ns, uj_watch_since(&self->watch));
    self->counted = 0;
  }
  return self->stretch_ns;
}

/* Whether the main job was cancelled by a signal and waits for its turn to see
 * to it. */
static bool main_waits(const struct uj_state *S)
{
  return S->signal != 0 && S->main->core.place == UJ_AT_READY;
}

static uint64_t slice_of(const struct uj_state *S)
{
  uint64_t slice_ns = S->current->core.sched->slice_ns;
  return main_waits(S) ? uj_clock_min(slice_ns, FORCED_NS) : slice_ns;
}

static uint64_t slow_of(const struct uj_state *S)
{
  uint64_t slow_ns = S->interrupt.slow_ns;
  if (slow_ns == UJ_NEVER && S->debug && !S->interrupt.never_slow)
    return DEBUG_SLOW_NS;
  return slow_ns;
}

/* It is closing variables, and so is not told yet what it has to be told. */
static bool is_held_off(const struct uj_state *S)
{
  return S->interrupt.held_tick == this_tick(S);
}

static uint64_t held_off_until(const struct uj_job *job)
{
  return uj_clock_min(job->kill_ns,
                      uj_clock_add(job->deadline_ns, job->sched->close_ns));
}

/* When there is something to do to the job itself. */
static uint64_t own_due(const struct uj_state *S)
{
  const struct uj_job *job = &S->current->core;
  return is_held_off(S) ? held_off_until(job) : uj_job_overrun_due(job);
}

/* When time jumps next under the virtual clock. */
static uint64_t jump_at(struct uj_state *S, uint64_t begin_ns)
{
  struct uj_interrupt *self = &S->interrupt;
  if (self->jump_tick != this_tick(S)) {
    self->jump_tick = this_tick(S);
    self->jump_ns = uj_clock_add(begin_ns, PATIENCE_NS);
  }
  return self->jump_ns;
}

/* Asks for the next interruption: not before `soon_ns`, but for what has an
 * exact time. */
static void ask(struct uj_state *S, uint64_t soon_ns, uint64_t begin_ns)
{
  struct uj_interrupt *self = &S->interrupt;
  uint64_t due_ns = UJ_NEVER;
  if (self->slow_tick != this_tick(S))
    due_ns = uj_clock_add(begin_ns, slow_of(S));
  if (S->is_virtual) {
    due_ns = uj_clock_min(due_ns, jump_at(S, begin_ns));
    uj_watch_ask(&self->watch, uj_clock_max(due_ns, soon_ns));
    return;
  }
  due_ns = uj_clock_min(due_ns, uj_clock_add(begin_ns, slice_of(S)));
  due_ns = uj_clock_min(due_ns, uj_timers_due(&S->loop.timers));
  if (is_held_off(S))
    due_ns = soon_ns;
  due_ns = uj_clock_max(due_ns, soon_ns);
  due_ns = uj_clock_min(due_ns, own_due(S));
  uj_watch_ask(&self->watch, due_ns);
}

/* ---- what is done -------------------------------------------------------- */

/* Nobody else can run meanwhile: time goes on to what comes next. The timers
 * may name a time that is too early, a few times. */
static void jump(struct uj_state *S)
{
  uint64_t due_ns, own_ns = own_due(S);
  do {
    due_ns = uj_clock_min(uj_timers_due(&S->loop.timers), own_ns);
    if (due_ns == UJ_NEVER)
      return;
    S->virtual_ns = uj_clock_max(S->virtual_ns, due_ns);
  } while (!uj_loop_overrun(&S->loop) && due_ns != own_ns);
}

static void pass_time(struct uj_state *S, uint64_t now_ns, uint64_t begin_ns)
{
  if (!S->is_virtual)
    (void)uj_loop_overrun(&S->loop);
  else if (jump_at(S, begin_ns) <= now_ns) {
    S->interrupt.jump_ns = uj_clock_add(now_ns, PATIENCE_NS);
    S->interrupt.exact = true;
    jump(S);
  }
}

static void report_slow(struct uj_state *S, lua_State *L, uint64_t now_ns,
                        uint64_t begin_ns)
{
  struct uj_interrupt *self = &S->interrupt;
  if (self->slow_tick == this_tick(S) ||
      now_ns < uj_clock_add(begin_ns, slow_of(S)))
    return;
  self->slow_tick = this_tick(S);
  uj_report_blocked(S, L, (lua_Number)(now_ns - begin_ns) / 1e9);
}

/* Whether the job can be taken off here. */
static bool can_yield(const struct uj_state *S, lua_State *L)
{
  return S->running == L && lua_isyieldable(L) && S->chain_yields;
}

/* The run is being ended by a signal, and here the job cannot be taken off for
 * the main job to see to it: it gets as long as another that is closed. */
static void close_stubborn(struct uj_state *S, uint64_t now_ns)
{
  struct uj_interrupt *self = &S->interrupt;
  struct uj_job *core = &S->current->core;
  if (!main_waits(S))
    return;
  if (self->stubborn_tick != this_tick(S)) {
    self->stubborn_tick = this_tick(S);
    self->stubborn_ns = now_ns;
  }
  if (uj_clock_add(self->stubborn_ns, core->sched->close_ns) <= now_ns)
    uj_job_close(core, core->sched->close_ns);
}

/* Whether its time is up, and it can be taken off: to be left at once then. */
static bool preempt(struct uj_state *S, lua_State *L, uint64_t now_ns,
                    uint64_t passed_ns)
{
  uint64_t slice_ns = slice_of(S);
  if (passed_ns < slice_ns)
    return false;
  if (!can_yield(S, L)) {
    close_stubborn(S, now_ns);
    return false;
  }
  if (S->is_virtual)
    S->virtual_ns = uj_clock_add(S->virtual_ns, slice_ns);
  uj_job_preempt(&S->current->core);
  return true;
}

static void raise_reason(struct uj_state *S, lua_State *L, enum uj_wake wake)
{
  if (wake == UJ_WAKE_OK)
    return;
  if (wake == UJ_WAKE_KILLED)
    uj_kill_running(S, L);
  if (S->current == S->main)
    S->interrupt.main_at_work = true;
  uj_suspend_push_error(S, L, wake);
  uj_hookerror_raise(S, L, false);
}

/* What cleans up cannot defend itself from its first instruction on: so a
 * to-be-closed variable is closed first. But a deadline is not held off for
 * longer than a job has to clean up, and nothing holds off the forced end. */
static bool hold_off(struct uj_state *S, lua_State *L, enum uj_wake wake)
{
  const struct uj_job *job = &S->current->core;
  bool late =
      wake == UJ_WAKE_DEADLINE && held_off_until(job) <= uj_loop_now(&S->loop);
  bool held = wake != UJ_WAKE_OK && wake != UJ_WAKE_KILLED && !late &&
              uj_unwind_closes(S, L);
  S->interrupt.held_tick = held ? this_tick(S) : 0;
  return held;
}

/* The job has run for `passed_ns`, in the measure of its slice. What expires,
 * and who hears the report, can give it a reason to end. Must be the last that
 * a hook does. */
static void handle(struct uj_state *S, lua_State *L, uint64_t now_ns,
                   uint64_t passed_ns)
{
  uint64_t begin_ns = stretch_begin(S, now_ns);
  enum uj_wake wake = UJ_WAKE_OK;
  pass_time(S, now_ns, begin_ns);
  uj_run_take_signal(S);
  report_slow(S, L, now_ns, begin_ns);
  if (S->interrupt.exact || !S->is_virtual || S->signal != 0)
    wake = uj_job_overrun(&S->current->core);
  if (hold_off(S, L, wake))
    wake = UJ_WAKE_OK;
  if (wake != UJ_WAKE_OK)
    uj_job_note_raised(&S->current->core, wake);
  S->interrupt.exact = false;
  ask(S, now_ns + SOON_NS, begin_ns);
  raise_reason(S, L, wake);
  if (preempt(S, L, now_ns, passed_ns))
    lua_yield(L, 0);
}

/* Under the virtual clock slices are counted in instructions; but a signal
 * comes in real time. */
static uint64_t passed_real(const struct uj_state *S, uint64_t now_ns,
                            uint64_t begin_ns)
{
  return S->is_virtual && !main_waits(S) ? 0 : now_ns - begin_ns;
}

/* ---- the two hooks ------------------------------------------------------- */

/* The place of a source among the library's own, or the first free one. */
static int find_own(const struct uj_state *S, const char *source)
{
  int i = 0;
  while (i < UJ_OWN_SOURCES && S->interrupt.own[i] != NULL &&
         strcmp(S->interrupt.own[i], source) != 0)
    i++;
  return i;
}

bool uj_interrupt_is_own(const struct uj_state *S, const char *source)
{
  int i = find_own(S, source);
  return i < UJ_OWN_SOURCES && S->interrupt.own[i] != NULL;
}

static bool is_own(const struct uj_state *S, lua_State *L, lua_Debug *ar)
{
  lua_getinfo(L, "S", ar);
  return uj_interrupt_is_own(S, ar->source);
}

/* Calls the user's hook for an event of its own. One that counts to more than
 * one counts from the beginning again. */
static void call_user_hook(const struct uj_interrupt *self, lua_State *L,
                           lua_Debug *ar)
{
  static const int masks[] = {[LUA_HOOKCALL] = LUA_MASKCALL,
                              [LUA_HOOKTAILCALL] = LUA_MASKCALL,
                              [LUA_HOOKRET] = LUA_MASKRET,
                              [LUA_HOOKLINE] = LUA_MASKLINE,
                              [LUA_HOOKCOUNT] = LUA_MASKCOUNT};
  if (self->user_hook != NULL && (self->user_mask & masks[ar->event]) &&
      (ar->event != LUA_HOOKCOUNT || self->user_count == 1))
    self->user_hook(L, ar);
}

/* The last event of an instruction. A hook must not yield before it: what is
 * called after that would run in a coroutine that has yielded. */
static int last_event(int mask)
{
  return mask & LUA_MASKLINE ? LUA_HOOKLINE : LUA_HOOKCOUNT;
}

/* A coroutine that was made while a hook of ours was set inherited it. */
static void reset_stray(struct uj_state *S, lua_State *L)
{
  if (S->L == NULL)
    lua_sethook(L, NULL, 0, 0);
  else
    uj_interrupt_reset_hook(S, L, S->interrupt.mode == UJ_INTERRUPT_COUNT);
}

/* Before the next instruction of the coroutine on which it was set. */
static void interrupt_hook(lua_State *L, lua_Debug *ar)
{
  struct uj_state *S = uj_state_registered(L);
  uint64_t now_ns, begin_ns;
  if (S->interrupt.hooked != L) {
    reset_stray(S, L);
    return;
  }
  call_user_hook(&S->interrupt, L, ar);
  if (ar->event != last_event(S->interrupt.user_mask) ||
      lua_gethook(L) != interrupt_hook)
    return;
  if (S->running == L && is_own(S, L, ar))
    return; /* at its next instruction */
  S->interrupt.asked = false;
  S->interrupt.moving = true;
  disarm(S);
  S->interrupt.moving = false;
  if (S->running != L || S->current == NULL || S->killing)
    return;
  now_ns = uj_driver_now();
  begin_ns = stretch_begin(S, now_ns);
  handle(S, L, now_ns, passed_real(S, now_ns, begin_ns));
}

/* What the monitor decides where there is one. */
static bool is_due(struct uj_state *S, uint64_t now_ns, uint64_t begin_ns)
{
  struct uj_interrupt *self = &S->interrupt;
  unsigned signals = uj_driver_signals();
  if (signals != self->signals) {
    self->signals = signals;
    return true;
  }
  if (atomic_load(&self->watch.due_tick) == this_tick(S))
    return now_ns >= atomic_load(&self->watch.due_ns);
  return now_ns - begin_ns >= FIRST_LOOK_NS;
}

/* Where there is no signal, and for slices under the virtual clock. Coroutines
 * that a job makes inherit it. */
static void count_hook(lua_State *L, lua_Debug *ar)
{
  struct uj_state *S = uj_state_registered(L);
  struct uj_interrupt *self = &S->interrupt;
  uint64_t now_ns, begin_ns, passed_ns;
  if (S->L == NULL || S->current == NULL || S->killing) {
    reset_stray(S, L);
    return;
  }
  if (ar->event != LUA_HOOKCOUNT && lua_gethook(S->L) != NULL)
    lua_gethook(S->L)(L, ar);
  now_ns = uj_driver_now();
  begin_ns = stretch_begin(S, now_ns);
  if (ar->event == LUA_HOOKCOUNT)
    self->counted += COUNT_EVERY;
  if (ar->event != last_event(lua_gethookmask(L)))
    return;
  passed_ns =
      S->is_virtual ? self->counted * INSTRUCTION_NS : now_ns - begin_ns;
  if (!is_own(S, L, ar) &&
      (passed_ns >= slice_of(S) || is_due(S, now_ns, begin_ns))) {
    self->exact = passed_ns >= slice_of(S);
    handle(S, L, now_ns, passed_ns);
  }
}

void uj_interrupt_limits_changed(struct uj_state *S)
{
  struct uj_watch *watch = &S->interrupt.watch;
  uint64_t due_ns;
  if (S->is_virtual || S->current == NULL ||
      atomic_load_explicit(&watch->due_tick, memory_order_relaxed) !=
          this_tick(S))
    return;
  due_ns = uj_job_overrun_due(&S->current->core);
  if (due_ns < atomic_load(&watch->due_ns))
    uj_watch_ask(watch, due_ns);
}

bool uj_interrupt_counts(const struct uj_state *S, const struct uj_sched *sched)
{
  return S->interrupt.mode == UJ_INTERRUPT_COUNT ||
         (S->is_virtual && sched->slice_ns != UJ_NEVER &&
          S->interrupt.mode != UJ_INTERRUPT_NONE);
}

void uj_interrupt_reset_hook(struct uj_state *S, lua_State *co, bool counted)
{
  lua_Hook hook = lua_gethook(S->L);
  int mask = lua_gethookmask(S->L), count = lua_gethookcount(S->L);
  if (counted) {
    hook = count_hook;
    mask |= LUA_MASKCOUNT;
    count = COUNT_EVERY;
  }
  lua_sethook(co, hook, mask, count);
}

/* ---- beginning and end --------------------------------------------------- */

void uj_interrupt_add_slice(struct uj_state *S, uint64_t slice_ns)
{
  _Atomic uint64_t *span_ns = &S->interrupt.watch.span_ns;
  if (slice_ns < atomic_load(span_ns))
    atomic_store(span_ns, slice_ns);
}

static uint64_t shortest_slice(const struct uj_state *S)
{
  const struct uj_link *list = &S->loop.scheds;
  uint64_t slice_ns = FIRST_LOOK_NS;
  for (struct uj_link *link = list->next; link != list; link = link->next)
    slice_ns = uj_clock_min(
        slice_ns, uj_container(link, struct uj_sched, link)->slice_ns);
  return slice_ns;
}

void uj_interrupt_start(struct uj_state *S)
{
  struct uj_interrupt *self = &S->interrupt;
  atomic_store(&self->watch.span_ns, shortest_slice(S));
  self->watch.interrupt = on_signal;
  self->watch.arg = S;
  self->signals = uj_driver_signals();
  self->main_at_work = false;
  if (self->mode == UJ_INTERRUPT_SIGNAL && uj_monitor_add(&self->watch) != 0)
    self->mode = UJ_INTERRUPT_COUNT;
  self->started = true;
}

void uj_interrupt_stop(struct uj_state *S)
{
  if (S->interrupt.started && S->interrupt.mode == UJ_INTERRUPT_SIGNAL)
    uj_monitor_remove(&S->interrupt.watch);
  S->interrupt.started = false;
}

void uj_interrupt_go_on(struct uj_state *S)
{
  uint64_t now_ns = uj_driver_now();
  S->interrupt.stretch_tick = this_tick(S);
  S->interrupt.stretch_ns = now_ns;
  S->interrupt.counted = 0;
  if (S->loop.nabandoning > 0)
    (void)uj_loop_overrun(&S->loop);
  S->interrupt.exact = uj_job_interrupted(&S->current->core) != UJ_WAKE_OK;
  if (S->interrupt.exact)
    S->interrupt.asked = true;
  else
    ask(S, 0, now_ns);
}

int uj_interrupt_main_at_work(lua_State *L)
{
  lua_pushboolean(L, uj_state(L)->interrupt.main_at_work);
  return 1;
}

int uj_interrupt_own_source(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  const char *source;
  lua_Debug ar;
  int i;
  if (!lua_getstack(L, 1, &ar))
    return 0;
  lua_getinfo(L, "S", &ar);
  i = find_own(S, ar.source);
  if (i == UJ_OWN_SOURCES)
    return luaL_error(L, "too many sources");
  if (S->interrupt.own[i] != NULL)
    return 0;
  source = lua_pushstring(L, ar.source);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &S->interrupt.own[i]); /* keeps the text */
  S->interrupt.own[i] = source;
  return 0;
}
