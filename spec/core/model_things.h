/* Semaphores, mutexes, events and queues of values, after model.h: what is
 * there goes to the first that waits, in the call that makes it available. */
#ifndef SPEC_CORE_MODEL_THINGS_H
#define SPEC_CORE_MODEL_THINGS_H

#include "core/queue.h"
#include "model.h"

static inline bool model_semaphore_try(int i)
{
  if (m.semaphore[i].count == 0)
    return false;
  m.semaphore[i].count--;
  return true;
}

static inline bool model_semaphore_release(int i)
{
  struct model_semaphore *semaphore = &m.semaphore[i];
  if (semaphore->count == semaphore->total)
    return false;
  if (semaphore->waiters.count > 0)
    model_wake(semaphore->waiters.job[0], UJ_WAKE_OK);
  else
    semaphore->count++;
  return true;
}

static inline bool model_lock(int i, int j)
{
  struct model_mutex *mutex = &m.mutex[i];
  if (mutex->owner != NOBODY)
    return false;
  mutex->owner = j;
  mutex->turn++;
  list_push(&m.locked, i);
  return true;
}

static inline uint64_t count_locks(int j)
{
  uint64_t count = 0;
  for (int i = 0; i < THINGS; i++)
    count += m.mutex[i].owner == j;
  return count;
}

static inline void model_event_set(int i)
{
  m.event[i].is_set = true;
  model_wake_all(&m.event[i].waiters);
}

static inline void push_value(struct model_queue *queue, uint64_t value)
{
  queue->value[queue->count++] = value;
}

static inline uint64_t shift_value(struct model_queue *queue)
{
  uint64_t value = queue->value[0];
  queue->count--;
  memmove(queue->value, queue->value + 1,
          (size_t)queue->count * sizeof queue->value[0]);
  return value;
}

static inline enum uj_queue_result model_put(int i, uint64_t value)
{
  struct model_queue *queue = &m.values[i];
  if (queue->closed)
    return UJ_QUEUE_CLOSED;
  if (queue->getters.count > 0) {
    m.job[queue->getters.job[0]].value = value;
    model_wake(queue->getters.job[0], UJ_WAKE_OK);
    return UJ_QUEUE_HANDED;
  }
  if ((uint64_t)queue->count == queue->capacity)
    return UJ_QUEUE_WAIT;
  push_value(queue, value);
  return UJ_QUEUE_STORED;
}

static inline enum uj_queue_result model_get(int i, uint64_t *value)
{
  struct model_queue *queue = &m.values[i];
  int putter = queue->putters.count > 0 ? queue->putters.job[0] : NOBODY;
  bool stored = queue->count > 0;
  if (!stored && putter == NOBODY)
    return queue->closed ? UJ_QUEUE_CLOSED : UJ_QUEUE_WAIT;
  *value = stored ? shift_value(queue) : m.job[putter].value;
  if (stored && putter != NOBODY)
    push_value(queue, m.job[putter].value);
  if (putter != NOBODY)
    model_wake(putter, UJ_WAKE_OK);
  return stored ? UJ_QUEUE_STORED : UJ_QUEUE_HANDED;
}

static inline void model_queue_close(int i)
{
  struct model_queue *queue = &m.values[i];
  queue->closed = true;
  while (queue->getters.count > 0)
    model_wake(queue->getters.job[0], UJ_WAKE_CLOSED);
  while (queue->putters.count > 0)
    model_wake(queue->putters.job[0], UJ_WAKE_CLOSED);
}

/* Checks that no job waits for something that is there. */
static inline void model_check_things(void)
{
  for (int i = 0; i < THINGS; i++) {
    const struct model_queue *queue = &m.values[i];
    CHECK(m.semaphore[i].waiters.count == 0 || m.semaphore[i].count == 0);
    CHECK(m.mutex[i].waiters.count == 0 || m.mutex[i].owner != NOBODY);
    CHECK(m.event[i].waiters.count == 0 || !m.event[i].is_set);
    CHECK(queue->getters.count == 0 || queue->count == 0);
    CHECK(queue->putters.count == 0 ||
          (uint64_t)queue->count == queue->capacity);
    CHECK(!queue->closed || queue->getters.count + queue->putters.count == 0);
  }
}

#endif
