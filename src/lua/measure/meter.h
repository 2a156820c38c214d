/* The clock of what is measured of jobs, and the record of each job's times.
 *
 * While nothing is measured none of this runs: uj_state::measures is false, the
 * loop has the host that it has always had, and jobs have no record. A switch
 * between two jobs takes about a quarter of a microsecond, and so does reading
 * the system's clock ten times. So time is read once in each stretch of a job,
 * when it ends, and from the counter of the processor where there is one: that
 * end is the beginning of the next stretch. Whenever a driver has read the
 * system's clock anyway, the counter is compared with it. */
#ifndef UJ_LUA_MEASURE_METER_H
#define UJ_LUA_MEASURE_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/order.h"
#include "core/seldom.h"
#include "loop/driver.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"
#include "lua/state/state.h"

struct uj_series;
struct uj_trace;

/* Who wants it: uj_meter::users. */
enum uj_meter_user {
  UJ_METER_STATS = 1, /* the times of jobs and the histograms of schedulers */
  UJ_METER_TRACE = 2
};

struct uj_meter {
  unsigned users;  /* a set of enum uj_meter_user; uj_state::measures says
                      whether  there is any */
  uint64_t now_ns; /* the latest real time that is known */
  bool fresh;      /* nothing but jobs has run since then */
  bool exact;      /* the time is read whenever a job becomes ready, too */

  /* The counter of the processor beside the system's clock. */
  uint64_t ticks;                   /* as they were read last */
  uint64_t base_ns, base_ticks;     /* first */
  uint64_t anchor_ns, anchor_ticks; /* last */
  uint64_t trusted_ticks;           /* since then, at most */
  uint64_t scale;                   /* nanoseconds of 2^32 ticks */

  uint64_t begin_ns;   /* when the present stretch began, in real time */
  uint64_t longest_ns; /* the longest stretch so far */
  int longest_job;     /* place on the hub: the job of that stretch, or nil */

  const struct uj_host *plain; /* the loop's while nothing is measured */
  struct uj_host host;         /* its own while something is */
  struct uj_trace *trace;      /* that is being written, or NULL: see trace.h */
  uint16_t ntraces;
  /* Of the last one that has ended. */
  uint64_t traced_events, traced_bytes;
  int trace_error; /* an errno, or 0 */
  bool trace_full; /* it has reached its limit */

  struct uj_series *retired; /* of uj_series::next: see series.h */
  uint32_t nretired, nkept;
};

enum uj_waker {
  UJ_WAKER_NONE, /* no job, but a time or a callback; or it has run on */
  UJ_WAKER_RUNS, /* the job that runs */
  UJ_WAKER_ENDED /* the job that has just ended or suspended */
};

/* What a job is doing. */
enum uj_phase {
  UJ_PHASE_WAITS,
  UJ_PHASE_READY,
  UJ_PHASE_RUNS,
  UJ_PHASE_OVER /* it has ended; no time is spent in this */
};

/* The record, which stands behind everything else of a job whose
 * uj_job::timed is set. Their sum is exactly the time from its
 * birth to `since_ns`. All of it is by the clock of the loop, so under the
 * virtual clock jobs that compute take no time; uj_ljob::cpu_ns is always real
 * time. */
struct uj_times {
  uint64_t since_ns;                /* when the present phase began */
  uint64_t spent_ns[UJ_PHASE_OVER]; /* in each phase, up to then */
  uint32_t name; /* the number of the job's name, of the trace whose number is
                    its high half: see trace.c */
  uint8_t phase; /* enum uj_phase */
  uint8_t waker; /* enum uj_waker: by whom it was made ready; only known while
                    there is a trace */
  bool by_timer; /* it is ready because its time has come */
};

/* How many bytes of a job stand before it. */
static inline size_t uj_times_offset(bool ranked)
{
  return sizeof(struct uj_ljob) + (ranked ? sizeof(struct uj_rank) : 0);
}

/* The record of a job that has one. */
static inline struct uj_times *uj_times_of(struct uj_ljob *job)
{
  return (struct uj_times *)(void *)((char *)job +
                                     uj_times_offset(job->core.ranked));
}

void uj_meter_init(struct uj_state *S, lua_State *L,
                   const struct uj_host *plain);

/* Compares the counter of the processor with the system's clock. Returns the
 * time. */
UJ_SELDOM uint64_t uj_meter_compare(struct uj_state *S);

/* The real time, as exactly as is known. It does not go back, whatever the
 * counter says. */
static inline uint64_t uj_meter_read_real(struct uj_state *S)
{
  struct uj_meter *meter = S->meter;
  uint64_t passed, now_ns;
  meter->ticks = uj_driver_ticks();
  passed = meter->ticks - meter->anchor_ticks;
  if (__builtin_expect(passed >= meter->trusted_ticks, false))
    return uj_meter_compare(S);
  now_ns = meter->anchor_ns + (passed * meter->scale >> 32);
  if (now_ns > meter->now_ns)
    meter->now_ns = now_ns;
  return meter->now_ns;
}

/* The counter of the processor, after jobs have run: it may be a little older
 * where it was read for the last of them. */
static inline uint64_t uj_meter_ticks(const struct uj_state *S)
{
  return S->measures && S->meter->fresh ? S->meter->ticks : uj_driver_ticks();
}

/* The time of the loop's clock. */
static inline uint64_t uj_meter_read(struct uj_state *S)
{
  return S->is_virtual ? S->virtual_ns : uj_meter_read_real(S);
}

/* The same as far as is known without reading a clock: it is not later than
 * now, and not earlier than the beginning of the stretch. If the monitor has
 * looked meanwhile, it is not earlier than that, either. */
uint64_t uj_meter_about(struct uj_state *S);

/* A driver has read the system's clock. `fresh`: it goes on to run jobs. */
void uj_meter_note(struct uj_state *S, uint64_t now_ns, bool fresh);

UJ_SELDOM void uj_meter_note_longest(struct uj_state *S,
                                     const struct uj_ljob *job,
                                     uint64_t span_ns);
/* A stretch of the job has taken so long. */
static inline void uj_meter_note_stretch(struct uj_state *S,
                                         struct uj_ljob *job, uint64_t span_ns)
{
  job->cpu_ns += span_ns;
  uj_lsched_of(job->core.sched)->cpu_ns += span_ns;
  if (span_ns > S->meter->longest_ns)
    uj_meter_note_longest(S, job, span_ns);
}
/* Forgets the longest stretch so far, as when a run begins. */
void uj_meter_forget_longest(struct uj_state *S);

/* A job is spawned, and has room for a record. The clock is not read for that:
 * see uj_meter_about(). */
void uj_meter_birth(struct uj_state *S, struct uj_ljob *job);

#endif
