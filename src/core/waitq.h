/* A queue of jobs that wait for the same thing, first come, first served.
 *
 * The one wait list of the core: the waiters of a job, of an idle scheduler
 * and of every primitive are such queues. A job enters one by uj_job_park()
 * and leaves it when it is woken, for whatever reason: so cancellation and
 * timeouts are handled in job.c and nowhere else. */
#ifndef UJ_CORE_WAITQ_H
#define UJ_CORE_WAITQ_H

#include <stdbool.h>

#include "core/link.h"

struct uj_job;

struct uj_waitq {
  struct uj_link jobs; /* of uj_job::queue */
};

static inline void uj_waitq_init(struct uj_waitq *waitq)
{
  uj_link_init(&waitq->jobs);
}

static inline bool uj_waitq_empty(const struct uj_waitq *waitq)
{
  return uj_link_empty(&waitq->jobs);
}

/* The job that waits longest, or NULL. */
struct uj_job *uj_waitq_first(const struct uj_waitq *waitq);

/* Wakes the first waiter with UJ_WAKE_OK and returns it, or NULL. What it
 * waited for is its own from now on: no cancellation takes it back. */
struct uj_job *uj_waitq_wake_one(struct uj_waitq *waitq);

/* Wakes all waiters with UJ_WAKE_CLOSED, in order. */
void uj_waitq_close(struct uj_waitq *waitq);

/* Wakes all waiters with UJ_WAKE_OK, in order. */
void uj_waitq_wake_all(struct uj_waitq *waitq);

#endif
