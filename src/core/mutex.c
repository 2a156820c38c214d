#include "core/mutex.h"

#include <assert.h>
#include <stddef.h>

#include "core/job.h"

void uj_mutex_init(struct uj_mutex *mutex)
{
  uj_waitq_init(&mutex->waiters);
  uj_link_init(&mutex->locked);
  mutex->owner = NULL;
  mutex->turn = 0;
}

static void set_owner(struct uj_mutex *mutex, struct uj_job *job)
{
  mutex->owner = job;
  mutex->turn++;
  job->nlocks++;
  uj_link_append(&job->sched->loop->locked, &mutex->locked);
}

static void clear_owner(struct uj_mutex *mutex)
{
  mutex->owner->nlocks--;
  mutex->owner = NULL;
  uj_link_remove(&mutex->locked);
}

void uj_mutex_term(struct uj_mutex *mutex)
{
  assert(uj_waitq_empty(&mutex->waiters));
  if (mutex->owner != NULL)
    clear_owner(mutex);
}

bool uj_mutex_try(struct uj_mutex *mutex, struct uj_job *job)
{
  if (mutex->owner != NULL)
    return false;
  set_owner(mutex, job);
  return true;
}

void uj_mutex_unlock(struct uj_mutex *mutex)
{
  struct uj_job *next;
  clear_owner(mutex);
  next = uj_waitq_wake_one(&mutex->waiters);
  if (next != NULL)
    set_owner(mutex, next);
}

struct uj_mutex *uj_mutex_held(struct uj_loop *loop, const struct uj_job *job)
{
  struct uj_link *link = loop->locked.next;
  if (job->nlocks == 0)
    return NULL;
  while (uj_container(link, struct uj_mutex, locked)->owner != job)
    link = link->next;
  return uj_container(link, struct uj_mutex, locked);
}
