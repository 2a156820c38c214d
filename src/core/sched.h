/* The record of a scheduler: the jobs that run under one set of limits.
 * admit.h lets jobs in, end.h ends them and closes the scheduler.
 *
 * Invariants (M2, M3):
 *   - nactive <= limit, npending <= pending_limit;
 *   - a job is pending only while nactive == limit, and blocked only while
 *     npending == pending_limit too: whenever a slot or a place gets free, the
 *     next in line takes it before anybody else can;
 *   - a closed scheduler has no pending and no blocked job. */
#ifndef UJ_CORE_SCHED_H
#define UJ_CORE_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/link.h"
#include "core/waitq.h"

struct uj_loop;

#define UJ_UNLIMITED UINT64_MAX

enum { UJ_OK = 0, UJ_ECLOSED = -1, UJ_EFULL = -2 };

/* Owned by its Lua userdata, which lives as long as any of its jobs. The lists
 * borrow the jobs, each of which leaves them when it ends. */
struct uj_sched {
  struct uj_loop *loop;   /* borrowed; outlives the scheduler */
  struct uj_link link;    /* in uj_loop::scheds */
  struct uj_link jobs;    /* of uj_job::member: pending and active ones */
  struct uj_link shields; /* of uj_job::member: active outside the limit */
  struct uj_link pending; /* of uj_job::queue, in the order of spawning */
  struct uj_link blocked; /* of uj_job::queue: NEW jobs whose spawner waits */
  struct uj_waitq idle;   /* jobs, of any scheduler, that wait until none is
                             left here */
  struct uj_waitq alone;  /* jobs of this scheduler that wait for the others */
  uint64_t limit;         /* of nactive */
  uint64_t pending_limit; /* of npending */
  uint64_t nactive;       /* jobs in a slot; shielded ones have none */
  uint64_t npending;
  uint64_t nlive;    /* nactive + npending + the shielded ones */
  uint64_t close_ns; /* how long its jobs get to end when they are closed */
  uint64_t wait_ns;  /* for the binding: how long leaving its block waits */
  uint64_t slice_ns; /* its jobs are preempted after so long; or UJ_NEVER */
  bool closed;       /* it admits nothing any more */
};

void uj_sched_init(struct uj_sched *sched, struct uj_loop *loop);
/* Leaves the loop; no job may be left. It may be called twice. */
void uj_sched_term(struct uj_sched *sched);

/* What would become of a spawn now: UJ_OK when there is a slot or a place in
 * the pending queue, UJ_EFULL when there is neither, UJ_ECLOSED. */
static inline int uj_sched_room(const struct uj_sched *sched)
{
  if (sched->closed)
    return UJ_ECLOSED;
  if (sched->nactive < sched->limit || sched->npending < sched->pending_limit)
    return UJ_OK;
  return UJ_EFULL;
}

/* Asserts the invariants. */
void uj_sched_check(const struct uj_sched *sched);

#endif
