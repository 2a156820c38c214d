#include "core/queue.h"

#include <stddef.h>

#include "core/job.h"

void uj_queue_init(struct uj_queue *queue, uint64_t capacity)
{
  uj_waitq_init(&queue->getters);
  uj_waitq_init(&queue->putters);
  queue->count = 0;
  queue->capacity = capacity;
  queue->closed = false;
}

enum uj_queue_result uj_queue_put(struct uj_queue *queue, struct uj_job **other)
{
  *other = NULL;
  if (queue->closed)
    return UJ_QUEUE_CLOSED;
  *other = uj_waitq_wake_one(&queue->getters);
  if (*other != NULL)
    return UJ_QUEUE_HANDED;
  if (queue->count == queue->capacity)
    return UJ_QUEUE_WAIT;
  queue->count++;
  return UJ_QUEUE_STORED;
}

enum uj_queue_result uj_queue_get(struct uj_queue *queue, struct uj_job **other)
{
  *other = uj_waitq_wake_one(&queue->putters);
  if (queue->count > 0) {
    if (*other == NULL)
      queue->count--;
    return UJ_QUEUE_STORED;
  }
  if (*other != NULL)
    return UJ_QUEUE_HANDED;
  return queue->closed ? UJ_QUEUE_CLOSED : UJ_QUEUE_WAIT;
}

void uj_queue_close(struct uj_queue *queue)
{
  queue->closed = true;
  uj_waitq_close(&queue->getters);
  uj_waitq_close(&queue->putters);
}
