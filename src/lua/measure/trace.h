/* A trace of what the jobs do, in a file for Chrome and Perfetto:
 * insight.trace() (I11, I12).
 *
 * Each stretch of a job is a slice on the row of the thread, and each job a row
 * of its own from its spawn to its end; arrows go from where a job was spawned
 * or woken to where it went on. While there is a trace the times of jobs are
 * measured, and whatever is traced is known from that: see times.c, which calls
 * this. */
#ifndef UJ_LUA_MEASURE_TRACE_H
#define UJ_LUA_MEASURE_TRACE_H

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/measure/meter.h"
#include "lua/state/job.h"
#include "lua/state/state.h"
#include "measure/tape.h"

struct uj_trace {
  uint64_t next_count_ns; /* when the jobs are counted the next time */
  uint64_t begin_ns;
  uint64_t flushed_ns; /* by the real clock */
  uint64_t from_ns;    /* of the arrow to the present stretch */
  uint8_t arrow;       /* enum uj_tape_arrow */
  uint16_t generation; /* see uj_times::name */
  struct uj_tape *tape;
};

/* [-0, +0, -] The job is resumed; `times` is from before that, or NULL. */
void uj_trace_resume(struct uj_state *S, struct uj_ljob *job,
                     struct uj_times *times, uint64_t now_ns);
/* [-0, +0, -] The job has suspended or ended. */
void uj_trace_suspend(struct uj_state *S, struct uj_ljob *job,
                      uint64_t begin_ns, uint64_t end_ns);
/* [-0, +0, -] A job has ended. */
void uj_trace_ended(struct uj_state *S, struct uj_ljob *job, uint64_t now_ns);

/* [-0, +0, -] A driver has read the clock. */
void uj_trace_poll(struct uj_state *S, uint64_t now_ns);

/* Begins a trace. Returns 0 or an errno. */
int uj_trace_start(struct uj_state *S, const char *path, uint64_t limit);
/* Waits until all of it is written so far. If it has ended by itself, it is not
 * there any more. */
void uj_trace_sync(struct uj_state *S);
/* Ends it, if there is one. */
void uj_trace_stop(struct uj_state *S);

#endif
