/* The record of a scheduler: the jobs that run under one set of limits.
 * admit.h lets jobs in, end.h ends them and closes the scheduler.
 *
 * Invariants (M2, M3):
 *   - nactive grows only while it is less than the limit, and npending only
 *     while it is less than the pending limit. A limit that is lowered ends
 *     nobody, so a number can be greater than its limit for a while, but then
 *     it only falls;
 *   - a job is pending only while no slot is free, and blocked only while no
 *     place in the pending queue is free either: whenever a slot or a place
 *     gets free, the next in line takes it before anybody else can;
 *   - while the scheduler is paused none of its slots is free, and the jobs
 *     that have a slot but have not started are held;
 *   - a closed scheduler has no pending, no held and no blocked job. */
#ifndef UJ_CORE_SCHED_H
#define UJ_CORE_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/life.h"
#include "core/link.h"
#include "core/waitq.h"

struct uj_loop;

#define UJ_UNLIMITED UINT64_MAX

enum { UJ_OK = 0, UJ_ECLOSED = -1, UJ_EFULL = -2 };

enum { UJ_SCHED_ENDS = UJ_JOB_KILLED - UJ_JOB_DONE + 1 };

/* Something that is no job and ends with its scheduler. */
struct uj_dependant {
  struct uj_link link; /* in uj_sched::dependants, or self-linked */
  void (*dismiss)(struct uj_dependant *dependant); /* it has left the list */
};

/* Owned by its Lua userdata, which lives as long as any of its jobs. The lists
 * borrow the jobs, each of which leaves them when it ends. */
struct uj_sched {
  struct uj_loop *loop;   /* borrowed; outlives the scheduler */
  struct uj_link link;    /* in uj_loop::scheds */
  struct uj_link jobs;    /* of uj_job::member: pending and active ones */
  struct uj_link shields; /* of uj_job::member: active outside the limit */
  struct uj_link pending; /* of uj_job::queue, in the order of spawning */
  struct uj_link held;    /* of uj_job::queue: jobs that had a slot and were
                             about to start when the scheduler was paused */
  struct uj_link blocked; /* of uj_job::queue: NEW jobs whose spawner waits */
  struct uj_link dependants; /* of uj_dependant::link */
  struct uj_waitq idle;      /* jobs, of any scheduler, that wait until none is
                                left here */
  struct uj_waitq alone;  /* jobs of this scheduler that wait for the others */
  uint64_t limit;         /* of nactive */
  uint64_t slots;         /* `limit`, or 0 while it is paused: a job gets a slot
                             while nactive is less than this */
  uint64_t pending_limit; /* of npending */
  uint64_t nactive;       /* jobs in a slot; shielded ones have none */
  uint64_t npending;
  uint64_t nlive;    /* nactive + npending + the shielded ones */
  uint64_t close_ns; /* how long its jobs get to end when they are closed */
  uint64_t wait_ns;  /* for the binding: how long leaving its block waits */
  uint64_t slice_ns; /* its jobs are preempted after so long; or UJ_NEVER */
  uint64_t ended[UJ_SCHED_ENDS]; /* how many jobs have ended in each of the
                                    final states, from UJ_JOB_DONE on; without
                                    the shielded ones */
  double waiting_ns; /* how long its jobs were pending, together, up to
                        `since_ns`. 64 bits would be too few: ten thousand
                        pending jobs count 2^64 ns in three weeks. */
  double running_ns; /* how long they had slots, likewise */
  uint64_t since_ns; /* when those two were last brought up to date */
  bool timed;        /* those three are kept */
  bool paused;       /* it starts no job */
  bool closed;       /* it admits nothing any more */
};

void uj_sched_init(struct uj_sched *sched, struct uj_loop *loop);
/* For uj_sched_note_time(). */
void uj_sched_add_time(struct uj_sched *sched);
/* Takes every dependant off the list, and tells it. */
void uj_sched_dismiss(struct uj_sched *sched);
/* Leaves the loop; no job may be left. It may be called twice. */
void uj_sched_term(struct uj_sched *sched);

/* Whether a job can get a slot now. */
static inline bool uj_sched_has_slot(const struct uj_sched *sched)
{
  return sched->nactive < sched->slots;
}

/* What would become of a spawn now: UJ_OK when there is a slot or a place in
 * the pending queue, UJ_EFULL when there is neither, UJ_ECLOSED. */
static inline int uj_sched_room(const struct uj_sched *sched)
{
  if (sched->closed)
    return UJ_ECLOSED;
  if (uj_sched_has_slot(sched) || sched->npending < sched->pending_limit)
    return UJ_OK;
  return UJ_EFULL;
}

/* Brings `waiting_ns` and `running_ns` up to date. It must be called before
 * nactive or npending changes; it reads the clock, but only when the scheduler
 * is timed. */
static inline void uj_sched_note_time(struct uj_sched *sched)
{
  if (sched->timed)
    uj_sched_add_time(sched);
}

/* Asserts the invariants. */
void uj_sched_check(const struct uj_sched *sched);

#endif
