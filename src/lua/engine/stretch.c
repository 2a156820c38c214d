#include "lua/engine/stretch.h"

#include "core/sched.h"
#include "core/turn.h"
#include "loop/driver.h"
#include "lua/engine/ending.h"
#include "lua/state/job.h"

/* The slice of all jobs once the run has been asked to end. */
#define FORCED_NS UINT64_C(10000000)

/* In debug mode a job is reported after so long, if no time was chosen. */
#define DEBUG_SLOW_NS UINT64_C(100000000)

/* The virtual clock stands still while a job computes. After so much real time
 * the job is taken for one that never ends, and time jumps to the next
 * deadline. */
#define PATIENCE_NS UINT64_C(1000000000)

/* ---- when it began ------------------------------------------------------- */

static void begin_at(struct uj_state *S, uint64_t begin_ns)
{
  S->stretch->begin_tick = uj_stretch_tick(S);
  S->stretch->begin_ns = begin_ns;
  S->stretch->loop_ns = S->is_virtual ? S->virtual_ns : begin_ns;
  S->stretch->counted = 0;
}

uint64_t uj_stretch_begin(struct uj_state *S, uint64_t now_ns)
{
  if (S->stretch->begin_tick != uj_stretch_tick(S))
    begin_at(S, uj_clock_min(now_ns, uj_watch_since(&S->watch)));
  return S->stretch->begin_ns;
}

void uj_stretch_go_on(struct uj_state *S)
{
  uint64_t now_ns = uj_driver_now();
  begin_at(S, now_ns);
  if (S->loop.nabandoning > 0)
    (void)uj_loop_expire(&S->loop);
  S->stretch->exact = uj_job_interrupted(&S->current->core) != UJ_WAKE_OK;
  if (S->stretch->exact)
    S->hook_wanted = true;
  else
    uj_stretch_plan(S, 0, now_ns);
}

/* ---- how long it may last ------------------------------------------------ */

uint64_t uj_stretch_slice_ns(const struct uj_state *S)
{
  uint64_t slice_ns = S->current->core.sched->slice_ns;
  return S->ending->forces ? uj_clock_min(slice_ns, FORCED_NS) : slice_ns;
}

void uj_stretch_pass_slice(struct uj_state *S)
{
  if (S->is_virtual && !S->ending->forces)
    S->virtual_ns = uj_clock_add(S->virtual_ns, uj_stretch_slice_ns(S));
}

uint64_t uj_stretch_slow_ns(const struct uj_state *S)
{
  uint64_t slow_ns = S->stretch->slow_ns;
  if (slow_ns == UJ_NEVER && S->debug && !S->stretch->never_slow)
    return DEBUG_SLOW_NS;
  return slow_ns;
}

/* Whether an error that is to be raised in the job is held off, because the job
 * is closing variables. */
static bool is_held_off(const struct uj_state *S)
{
  return S->stretch->held_tick == uj_stretch_tick(S);
}

uint64_t uj_stretch_held_until(const struct uj_job *job)
{
  return uj_clock_min(job->kill_ns,
                      uj_clock_add(job->deadline_ns, job->sched->close_ns));
}

uint64_t uj_stretch_busy_due(struct uj_state *S)
{
  const struct uj_ljob *job = S->current;
  if (!job->is_child || job->core.cancel)
    return UJ_NEVER;
  return uj_clock_add(S->stretch->loop_ns,
                      uj_ljob_child_limit_ns(S, job, UJ_JOB_UV_BUSY, UJ_NEVER));
}

uint64_t uj_stretch_own_due(struct uj_state *S)
{
  const struct uj_job *job = &S->current->core;
  uint64_t due_ns =
      is_held_off(S) ? uj_stretch_held_until(job) : uj_job_raise_due(job);
  return uj_clock_min(due_ns, uj_stretch_busy_due(S));
}

void uj_stretch_jump_after(struct uj_state *S, uint64_t from_ns)
{
  S->stretch->jump_tick = uj_stretch_tick(S);
  S->stretch->jump_ns = uj_clock_add(from_ns, PATIENCE_NS);
}

uint64_t uj_stretch_jump_at(struct uj_state *S, uint64_t begin_ns)
{
  if (S->stretch->jump_tick != uj_stretch_tick(S))
    uj_stretch_jump_after(S, begin_ns);
  return S->stretch->jump_ns;
}

/* ---- when to interrupt it next ------------------------------------------- */

static uint64_t slow_due(const struct uj_state *S, uint64_t begin_ns)
{
  return S->stretch->slow_tick == uj_stretch_tick(S)
             ? UJ_NEVER
             : uj_clock_add(begin_ns, uj_stretch_slow_ns(S));
}

/* Under the virtual clock slices and deadlines have no real time, until the run
 * is to end. */
static void plan_virtual(struct uj_state *S, uint64_t soon_ns,
                         uint64_t begin_ns)
{
  uint64_t due_ns =
      uj_clock_min(slow_due(S, begin_ns), uj_stretch_jump_at(S, begin_ns));
  if (S->ending->forces)
    due_ns = uj_clock_min(due_ns, begin_ns + FORCED_NS);
  uj_watch_interrupt_at(&S->watch, uj_clock_max(due_ns, soon_ns));
}

void uj_stretch_plan(struct uj_state *S, uint64_t soon_ns, uint64_t begin_ns)
{
  uint64_t due_ns;
  if (S->is_virtual) {
    plan_virtual(S, soon_ns, begin_ns);
    return;
  }
  due_ns = uj_clock_min(slow_due(S, begin_ns),
                        uj_clock_add(begin_ns, uj_stretch_slice_ns(S)));
  due_ns = uj_clock_min(due_ns, uj_timers_due(&S->loop.timers));
  due_ns = uj_clock_min(due_ns, S->ending->force_ns);
  if (is_held_off(S))
    due_ns = soon_ns;
  due_ns = uj_clock_max(due_ns, soon_ns);
  uj_watch_interrupt_at(&S->watch, uj_clock_min(due_ns, uj_stretch_own_due(S)));
}

void uj_stretch_limits_changed(struct uj_state *S)
{
  struct uj_watch *watch = &S->watch;
  uint64_t due_ns;
  if (S->is_virtual || S->current == NULL ||
      atomic_load_explicit(&watch->due_tick, memory_order_relaxed) !=
          uj_stretch_tick(S))
    return;
  due_ns = uj_job_raise_due(&S->current->core);
  if (due_ns < atomic_load(&watch->due_ns))
    uj_watch_interrupt_at(watch, due_ns);
}
