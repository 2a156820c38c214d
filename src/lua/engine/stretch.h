/* The stretch of a job: since it was resumed or, when it was preempted, since
 * it went on. What is known of the present one, and when the job is to be
 * interrupted next.
 *
 * A stretch has a number, the monitor's tick. So what is kept for one stretch
 * needs no clean-up: with another number beside it, it is not valid any more.
 */
#ifndef UJ_LUA_ENGINE_STRETCH_H
#define UJ_LUA_ENGINE_STRETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"
#include "lua/state/state.h"

/* A job is looked at for the first time after so long. From then on the monitor
 * knows its limits to the nanosecond. */
#define UJ_STRETCH_FIRST_LOOK_NS UINT64_C(10000000)

struct uj_stretch {
  uint64_t begin_tick; /* the stretch of begin_ns and counted */
  uint64_t begin_ns;   /* see uj_stretch_begin() */
  uint64_t loop_ns;    /* the same by the clock of the loop */
  uint64_t counted;    /* instructions */

  uint64_t slow_ns;   /* a stretch is reported after so long; or UJ_NEVER */
  bool never_slow;    /* not even in debug mode */
  uint64_t slow_tick; /* the stretch that was reported */

  /* The interruption comes at an exact virtual time. One that comes at a real
   * time must not change what happens under the virtual clock. */
  bool exact;

  uint64_t held_tick; /* the stretch in which an error is held off */

  /* The stretch in which a preemption that is needed was impossible. */
  uint64_t unpreemptible_tick;
  uint64_t unpreemptible_since_ns;

  uint64_t jump_tick; /* the stretch of jump_ns */
  uint64_t jump_ns;   /* the real time at which the virtual clock jumps */
};

/* The number of the present stretch. */
static inline uint64_t uj_stretch_tick(const struct uj_state *S)
{
  return atomic_load_explicit(&S->watch.tick, memory_order_relaxed);
}

/* When it began. If nobody looked at the clock then, this is when the monitor
 * first saw it, a little later. */
uint64_t uj_stretch_begin(struct uj_state *S, uint64_t now_ns);

/* The current job goes on that was preempted: a stretch begins. */
void uj_stretch_go_on(struct uj_state *S);

/* The current job has got another deadline, or a reason to end. If the monitor
 * was told when to interrupt it, it is told anew; that is not so before the
 * job's first interruption. */
void uj_stretch_limits_changed(struct uj_state *S);

/* Tells the monitor when to interrupt the job next: not before `soon_ns`,
 * except for what has an exact time. */
void uj_stretch_plan(struct uj_state *S, uint64_t soon_ns, uint64_t begin_ns);

/* How long a stretch may last: then the job is preempted. */
uint64_t uj_stretch_slice_ns(const struct uj_state *S);

/* When the current job, a supervised child, has held the loop for as long as it
 * may; UJ_NEVER when it may do so for ever, or is ended already. By the clock
 * of the loop. */
uint64_t uj_stretch_busy_due(struct uj_state *S);

/* The slice is over: under the virtual clock it takes its time then. */
void uj_stretch_pass_slice(struct uj_state *S);

/* After how long it is reported as blocking the loop. */
uint64_t uj_stretch_slow_ns(const struct uj_state *S);

/* How long an error may be held off while the job closes variables. */
uint64_t uj_stretch_held_until(const struct uj_job *job);

/* When an error is to be raised in the current job, or it is to be killed. */
uint64_t uj_stretch_own_due(struct uj_state *S);

/* When the virtual clock jumps; and sets that, counted from `from_ns`. */
uint64_t uj_stretch_jump_at(struct uj_state *S, uint64_t begin_ns);
void uj_stretch_jump_after(struct uj_state *S, uint64_t from_ns);

#endif
