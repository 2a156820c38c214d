/* A number of permits that jobs take and give back.
 *
 * A permit that is given back while jobs wait goes straight to the first of
 * them, so nobody overtakes. Invariant: `count` is 0 while a job waits. */
#ifndef UJ_CORE_SEMAPHORE_H
#define UJ_CORE_SEMAPHORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"

struct uj_semaphore {
  struct uj_waitq waiters;
  uint64_t count; /* free permits */
  uint64_t total; /* permits, free or taken */
};

static inline void uj_semaphore_init(struct uj_semaphore *semaphore,
                                     uint64_t total)
{
  uj_waitq_init(&semaphore->waiters);
  semaphore->count = total;
  semaphore->total = total;
}

/* Takes a permit if one is free. */
static inline bool uj_semaphore_try(struct uj_semaphore *semaphore)
{
  if (semaphore->count == 0)
    return false;
  semaphore->count--;
  return true;
}

/* Gives a permit back. Returns false, and does nothing, if none was taken. */
static inline bool uj_semaphore_release(struct uj_semaphore *semaphore)
{
  if (semaphore->count == semaphore->total)
    return false;
  if (uj_waitq_wake_one(&semaphore->waiters) == NULL)
    semaphore->count++;
  return true;
}

#endif
