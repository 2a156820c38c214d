/* Announces the starts and the ends of jobs: calls the functions that a
 * scheduler has for them, its options `on_start` and `on_end`. */
#ifndef UJ_LUA_ENGINE_ANNOUNCE_H
#define UJ_LUA_ENGINE_ANNOUNCE_H

#include "lua/state/job.h"
#include "lua/state/sched.h"
#include "lua/state/state.h"

/* [-0, +0, -] Calls one of the functions with the job, which is kept. It may do
 * all that can be done outside of jobs; an error in it is printed. */
void uj_announce(struct uj_state *S, const struct uj_ljob *job,
                 enum uj_announced what);

/* A job is about to run for the first time. */
static inline void uj_announce_start(struct uj_state *S,
                                     const struct uj_ljob *job)
{
  if (job->core.sched->announces_starts)
    uj_announce(S, job, UJ_ANNOUNCED_START);
}

/* A job has ended. One that has not started is not announced: it ends while
 * somebody cancels or closes, and no code of the user may run in between (M1).
 */
static inline void uj_announce_end(struct uj_state *S,
                                   const struct uj_ljob *job)
{
  if (job->core.sched->announces_ends && job->core.started)
    uj_announce(S, job, UJ_ANNOUNCED_END);
}

#endif
