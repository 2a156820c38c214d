/* Turning the loop: timers that have passed, then the jobs that are ready.
 *
 * A turn runs the jobs that were ready when it began and no others, so no chain
 * of ready jobs starves timers or I/O (M11).
 *
 * A preemption ends the turn, because timers and I/O have waited for that job
 * long enough. The next turns run what is left of the batch. When all of it has
 * run, one of the preempted jobs has a turn to itself. So a preempted job waits
 * until all jobs that were ready before it have run, and a job that suspends by
 * itself waits for one busy job at most. */
#ifndef UJ_CORE_TURN_H
#define UJ_CORE_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"

struct uj_job;

/* Takes one turn. The driver can spare it the clock by setting
 * uj_loop::latest_ns before. */
void uj_loop_turn(struct uj_loop *loop);

/* The running job is to give way, but cannot be taken off: what it does is in
 * the middle of a C function. So other jobs run on top of it. From now on it is
 * covered, and in line like a job that is preempted. The host, which has not
 * returned from resume(), takes turns until uj_loop_is_covering() is false.
 * Then the job goes on.
 *
 * A job that runs on top can be covered in its turn. The one below cannot go on
 * before that one has come back, so it leaves the line. Its host sees that when
 * the control is back, by uj_loop::covers, and calls uj_loop_cover_again(). */
void uj_loop_cover(struct uj_loop *loop, struct uj_job *job);

/* The job has left the line too early. It goes on when all that are ready now
 * have run, before any that are preempted. When it leaves the line once more it
 * must go on at once, or it might never do so. */
void uj_loop_cover_again(struct uj_loop *loop, struct uj_job *job);

/* The job that is in line leaves it: no others are to run on top of it. */
void uj_loop_uncover(struct uj_loop *loop);

/* Whether others are still to run on top of the job. */
static inline bool uj_loop_is_covering(const struct uj_loop *loop,
                                       const struct uj_job *job)
{
  return loop->covered == job;
}

/* Handles the timers that have passed while a job runs and holds the loop. No
 * other job runs; but what a waiter has abandoned is closed on its behalf.
 * Returns whether a timer has passed. */
bool uj_loop_expire(struct uj_loop *loop);

/* Closes every scheduler, including those that are closed already, but not the
 * open ones with `in_turn`. Their jobs get at most `span_ns` to end. */
void uj_loop_close(struct uj_loop *loop, uint64_t span_ns);
/* Closes the schedulers that are open, but not those with `in_turn`. */
void uj_loop_close_open(struct uj_loop *loop);

/* To be called before and after the host exchanges its clock for another, so
 * that the times which schedulers sum up do not depend on the difference. */
void uj_loop_stop_times(struct uj_loop *loop);
void uj_loop_start_times(struct uj_loop *loop);

/* Whether any job is left. */
bool uj_loop_live(const struct uj_loop *loop);

/* Whether every timer that is armed is the limit of a wait that then closes its
 * scheduler, so that time wakes nobody else, and the alarm is not set. It walks
 * over the timers until one is not. */
bool uj_loop_waits_for_limits(const struct uj_loop *loop);

/* The number of jobs that are ready; it walks over them. */
uint64_t uj_loop_count_ready(const struct uj_loop *loop);

/* Asserts the invariants of everything that hangs on the loop. */
void uj_loop_check(const struct uj_loop *loop);

#endif
