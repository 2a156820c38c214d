#include "core/waitq.h"

#include "core/job.h"

struct uj_job *uj_waitq_first(const struct uj_waitq *waitq)
{
  if (uj_waitq_empty(waitq))
    return NULL;
  return uj_container(waitq->jobs.next, struct uj_job, queue);
}

struct uj_job *uj_waitq_wake_one(struct uj_waitq *waitq)
{
  struct uj_job *job = uj_waitq_first(waitq);
  if (job != NULL)
    uj_job_wake(job, UJ_WAKE_OK);
  return job;
}

void uj_waitq_wake_all(struct uj_waitq *waitq)
{
  while (uj_waitq_wake_one(waitq) != NULL)
    continue;
}

void uj_waitq_close(struct uj_waitq *waitq)
{
  struct uj_job *job;
  while ((job = uj_waitq_first(waitq)) != NULL)
    uj_job_wake(job, UJ_WAKE_CLOSED);
}
