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
 *   - a closed scheduler has no pending, no held and no blocked job.
 *
 * In a scheduler with an order, see order.h, who is next is another question,
 * and a job can also be pending because its key has reached its limit, or
 * because the rate of starts allows no more for now. Then one that may start at
 * once does so even when the pending queue is full. */
#ifndef UJ_CORE_SCHED_H
#define UJ_CORE_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/life.h"
#include "core/link.h"
#include "core/seldom.h"
#include "core/waitq.h"

struct uj_loop;
struct uj_order;

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
  uint64_t slots;         /* `limit`, or 0 while it is paused or if it has an
                             order: a job gets a slot while nactive is less than
                             this, without any other question */
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
  double waiting_ns;      /* how long its jobs were pending, together, up to
                             `since_ns`. 64 bits would be too few: ten thousand
                             pending jobs count 2^64 ns in three weeks. */
  double running_ns;      /* how long they had slots, likewise */
  uint64_t since_ns;      /* when those two were last brought up to date */
  struct uj_order *order; /* borrowed, as long as it lives; NULL when jobs
                             start in the order in which they come */
  bool timed;             /* those three are kept */
  bool paused;            /* it starts no job */
  bool closed;            /* it admits nothing any more */
  bool in_turn;           /* whoever made it ends its jobs one after the other,
                             and closes it then: uj_loop_close() does not */
  bool stops;             /* for the binding: they have begun to do so */
  /* For the binding, which had to pad its own record otherwise. */
  bool announces_starts; /* it calls a function when a job starts */
  bool announces_ends;   /* the same when one has ended */
  bool nursery;          /* the first job that fails closes it */
  uint32_t nunseen;      /* its jobs with uj_job::unseen */
  uint32_t nheld;        /* supervised jobs that are being closed because they
                            have held the loop for too long */
  uint64_t held_ns;      /* the first time at which one was, since there are
                            any; for the binding, too */
};

void uj_sched_init(struct uj_sched *sched, struct uj_loop *loop);
/* For uj_sched_note_time(). */
void uj_sched_add_time(struct uj_sched *sched);
/* Takes every dependant off the list, and tells it. */
void uj_sched_dismiss(struct uj_sched *sched);
/* Leaves the loop; no job may be left. It may be called twice. */
void uj_sched_term(struct uj_sched *sched);

/* Whether a job can get a slot now, whatever job it is. */
static inline bool uj_sched_has_slot(const struct uj_sched *sched)
{
  return sched->nactive < sched->slots;
}

/* The time for the lines of a scheduler with an order: only those with aging
 * want to know it, and the others get 0. */
uint64_t uj_sched_line_now(const struct uj_sched *sched);

/* Sets the bell of a scheduler with an order, whose jobs wait for the rate of
 * starts alone; or takes it off. */
void uj_sched_set_bell(struct uj_sched *sched);
void uj_sched_take_bell(struct uj_sched *sched);
/* The same as uj_sched_take_bell() when no job waits any more. */
void uj_sched_hush(struct uj_sched *sched);

/* Whether a scheduler with an order has a slot for a job whose key is not at
 * its limit. */
UJ_SELDOM bool uj_sched_may_start(const struct uj_sched *sched);

/* What would become of a spawn now: UJ_OK when there is a slot or a place in
 * the pending queue, UJ_EFULL when there is neither, UJ_ECLOSED. With an order
 * UJ_OK can be said too often: it depends on the key of the job. */
static inline int uj_sched_room(const struct uj_sched *sched)
{
  if (sched->closed)
    return UJ_ECLOSED;
  if (uj_sched_has_slot(sched) || sched->npending < sched->pending_limit)
    return UJ_OK;
  return sched->order != NULL && uj_sched_may_start(sched) ? UJ_OK : UJ_EFULL;
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
