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

/* Takes one turn. The driver can spare it the clock by setting
 * uj_loop::latest_ns before. */
void uj_loop_turn(struct uj_loop *loop);

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
