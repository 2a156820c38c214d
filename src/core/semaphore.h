/* A number of permits that jobs take and give back.
 *
 * A permit that is given back while jobs wait goes straight to the first of
 * them, so nobody overtakes: whenever a job waits, `count` is 0. */
#ifndef UJ_CORE_SEMAPHORE_H
#define UJ_CORE_SEMAPHORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"

struct uj_semaphore {
  struct uj_waitq waiters;
  uint64_t count; /* free permits */
  uint64_t total; /* permits that there are */
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

/* Gives one back; false, and nothing happens, when none was taken. */
static inline bool uj_semaphore_release(struct uj_semaphore *semaphore)
{
  if (semaphore->count == semaphore->total)
    return false;
  if (uj_waitq_wake_one(&semaphore->waiters) == NULL)
    semaphore->count++;
  return true;
}

#endif
