/* When the loop looks at the outside world between two turns: at I/O, signals,
 * threads, and the system's clock. */
#ifndef UJ_LUA_DRIVE_POLL_H
#define UJ_LUA_DRIVE_POLL_H

#include <lua.h>
#include <stdbool.h>

#include "core/loop.h"
#include "loop/driver.h"
#include "lua/measure/meter.h"
#include "lua/state/state.h"

/* While jobs are ready, or deadlines follow each other closely, I/O, signals
 * and the system's clock are polled only so often, because going to sleep and
 * waking up costs about as much as running twenty jobs. A job can be late by as
 * much as this: 50 us, and a little more for each job that lives, up to 1 ms.
 */
#define UJ_POLL_NS UINT64_C(50000)

/* UJ_POLL_TICKS of the processor's counter take no longer than UJ_POLL_NS on
 * any processor, and one tick no longer than UJ_TICK_NS. */
#define UJ_POLL_TICKS UINT64_C(20000)
#define UJ_TICK_NS UINT64_C(3)

struct uj_pace {
  uint64_t polled_ns;   /* when it did so last */
  uint64_t clock_ns;    /* the time when it read the clock last */
  uint64_t clock_ticks; /* and uj_driver_ticks() then */
  uint64_t still_ns;    /* the virtual time at which it polled last */
  uint64_t still_turns; /* uj_loop::turns when it first did so at that time */
  uint64_t restless_turns; /* how many later the virtual clock jumps, although
                              jobs are ready */
};

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
  if (!uj_loop_ready(&S->loop))
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
