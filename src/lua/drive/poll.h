/* When the loop looks at the outside world between two turns: at I/O, signals,
 * threads, and the system's clock. */
#ifndef UJ_LUA_DRIVE_POLL_H
#define UJ_LUA_DRIVE_POLL_H

#include <lua.h>
#include <stdbool.h>

#include "core/loop.h"
#include "loop/driver.h"
#include "lua/drive/pace.h"
#include "lua/measure/meter.h"
#include "lua/service/crew.h"
#include "lua/state/state.h"

/* Once in the life of a state. */
void uj_poll_init(struct uj_state *S);
/* A run begins. */
void uj_poll_begin(struct uj_state *S);

/* It is not later than this: the time of the last reading of the clock, and the
 * most that can have passed since. */
static inline uint64_t uj_poll_latest(const struct uj_state *S, uint64_t ticks)
{
  const struct uj_pace *pace = S->pace;
  return S->is_virtual
             ? UJ_NEVER
             : pace->clock_ns + (ticks - pace->clock_ticks) * UJ_TICK_NS;
}

/* Whether it is time to look. Otherwise the next turn is told how late it can
 * be: until its next deadline it need not read the clock, either.
 *
 * Reading the clock costs as much as a switch between two jobs. The processor's
 * own counter says when it is worth it; where there is none, it always is. */
static inline bool uj_poll_is_due(struct uj_state *S)
{
  struct uj_pace *pace = S->pace;
  uint64_t ticks = uj_meter_ticks(S);
  if (!uj_loop_ready(&S->loop) || uj_lcrew_takes_turns(S))
    return true;
  if (ticks != 0 && ticks - pace->clock_ticks < UJ_POLL_TICKS) {
    S->loop.latest_ns = uj_poll_latest(S, ticks);
    return false;
  }
  pace->clock_ticks = ticks;
  pace->clock_ns = uj_driver_now();
  if (pace->clock_ns - pace->polled_ns >= UJ_POLL_NS)
    return true;
  S->loop.latest_ns = uj_poll_latest(S, ticks);
  return false;
}

/* [-0, +0, -] Looks, and waits if no job is ready. */
void uj_poll(struct uj_state *S, lua_State *L);

#endif
