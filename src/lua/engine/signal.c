#include "lua/engine/signal.h"

#include "core/end.h"
#include "loop/driver.h"
#include "lua/state/job.h"

void uj_signal_take(struct uj_state *S)
{
  int number = uj_driver_take_signal(S->driver);
  if (number == 0)
    return;
  S->signal = number;
  uj_job_cancel(&S->main->core);
}

void uj_signal_poll(struct uj_state *S)
{
  uj_driver_poll(S->driver);
  uj_signal_take(S);
}
