/* How often the loop looks at the outside world. */
#ifndef UJ_LUA_DRIVE_PACE_H
#define UJ_LUA_DRIVE_PACE_H

#include <stdint.h>

#include "core/clock.h"
#include "lua/state/state.h"
#include "lua/state/unseen.h"

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
  uint64_t told_runs;   /* uj_watch_count_runs() when it was told that a crew
                           waits for limits only */
  uint64_t restless_turns; /* how many later the virtual clock jumps, although
                              jobs are ready */
};

/* While jobs are ready, a poll can be late by as much more for each job that
 * lives, and by so much at most: see UJ_POLL_NS. */
#define UJ_POLL_JOB_NS UINT64_C(20)
#define UJ_POLL_MAX_NS UINT64_C(1000000)

/* When the next poll is due on the real clock, however close deadlines are. */
static inline uint64_t uj_pace_next(const struct uj_state *S)
{
  uint64_t span_ns = UJ_POLL_NS + uj_unseen_count_jobs(S) * UJ_POLL_JOB_NS;
  return S->pace->polled_ns + uj_clock_min(span_ns, UJ_POLL_MAX_NS);
}

#endif
