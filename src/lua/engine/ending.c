#include "lua/engine/ending.h"

#include <string.h>

#include "core/end.h"
#include "loop/driver.h"
#include "loop/signals.h"
#include "lua/engine/hook.h"
#include "lua/state/job.h"

void uj_ending_init(struct uj_state *S, uint64_t close_ns)
{
  memset(S->ending, 0, sizeof(*S->ending));
  S->ending->close_ns = close_ns;
  uj_ending_forget(S);
}

void uj_ending_forget(struct uj_state *S)
{
  S->ending->begun = false;
  S->ending->forces = false;
  S->ending->force_ns = UJ_NEVER;
}

static void force(struct uj_state *S)
{
  if (!S->ending->forces)
    S->ending->real_ns = uj_driver_now();
  S->ending->forces = true;
  S->ending->force_ns = UJ_NEVER;
}

void uj_ending_force_at(struct uj_state *S, uint64_t force_ns)
{
  S->ending->force_ns = force_ns;
}

void uj_ending_begin(struct uj_state *S)
{
  force(S);
  S->ending->begun = true;
  uj_job_close(&S->main->core, S->ending->close_ns);
}

void uj_ending_pass_time(struct uj_state *S)
{
  uint64_t now_ns;
  if (!S->ending->forces || !S->is_virtual)
    return;
  now_ns = uj_driver_now();
  S->virtual_ns = uj_clock_add(S->virtual_ns, now_ns - S->ending->real_ns);
  S->ending->real_ns = now_ns;
}

bool uj_ending_is_stopped(const struct uj_state *S)
{
  return S->outer->is_stopped != NULL && S->outer->is_stopped(S->outer->arg);
}

static void end_if_stopped(struct uj_state *S)
{
  if (S->main == NULL || S->ending->begun || !uj_ending_is_stopped(S))
    return;
  S->ending->close_ns = 0;
  S->main->core.heard |= UJ_HEARS_KILLED; /* nobody is interested */
  uj_ending_begin(S);
}

void uj_ending_wake_stopped(void *state)
{
  struct uj_state *S = state;
  if (S->driver != NULL)
    uj_driver_wake(S->driver);
  uj_hook_on_signal(S);
}

void uj_ending_take_signal(struct uj_state *S)
{
  int number = uj_signals_take(uj_driver_signals(S->driver));
  end_if_stopped(S);
  if (number == 0 || S->main == NULL)
    return;
  if (!uj_job_ended(&S->main->core) && !S->main->core.cancel)
    S->ending->signal = number;
  uj_ending_begin(S);
}

void uj_ending_poll(struct uj_state *S)
{
  uj_driver_poll(S->driver);
  uj_ending_take_signal(S);
  if (S->ending->force_ns <= uj_loop_now(&S->loop))
    force(S);
}
