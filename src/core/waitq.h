/* A list of jobs that wait for the same thing, first come, first served.
 *
 * It is the only kind of wait list in the core: a job, an idle scheduler and
 * every primitive keep their waiters in one. A job enters it by uj_job_park()
 * and leaves it when it is woken, for whatever reason. So cancellation and time
 * limits are handled in job.c and nowhere else. The functions that know jobs
 * are in job.h. */
#ifndef UJ_CORE_WAITQ_H
#define UJ_CORE_WAITQ_H

#include <stdbool.h>

#include "core/link.h"

struct uj_waitq {
  struct uj_link jobs; /* of uj_job::queue, the longest waiter first */
};

static inline void uj_waitq_init(struct uj_waitq *waitq)
{
  uj_link_init(&waitq->jobs);
}

static inline bool uj_waitq_empty(const struct uj_waitq *waitq)
{
  return uj_link_empty(&waitq->jobs);
}

#endif
