/* A lock that one job holds at a time.
 *
 * Unlocking hands it to the first waiter. The loop lists the mutexes that are
 * locked, so that those of a job that ends can be found. This costs a job one
 * counter (uj_job::nlocks) instead of a list of its own. */
#ifndef UJ_CORE_MUTEX_H
#define UJ_CORE_MUTEX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/link.h"
#include "core/waitq.h"

struct uj_job;
struct uj_loop;

struct uj_mutex {
  struct uj_waitq waiters;
  struct uj_link locked; /* in uj_loop::locked while it has an owner */
  struct uj_job *owner;  /* borrowed; NULL while it is free */
  uint64_t turn;         /* how often it was locked */
};

void uj_mutex_init(struct uj_mutex *mutex);
/* Ends a mutex that nobody can reach any more; it may be locked. */
void uj_mutex_term(struct uj_mutex *mutex);

/* Locks it for a job if it is free. */
bool uj_mutex_try(struct uj_mutex *mutex, struct uj_job *job);

/* Hands it to the first waiter, or frees it. */
void uj_mutex_unlock(struct uj_mutex *mutex);

/* A mutex that the job holds, or NULL. Walks over those that are locked. */
struct uj_mutex *uj_mutex_held(struct uj_loop *loop, const struct uj_job *job);

#endif
