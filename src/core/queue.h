/* The order of a queue of values. The values themselves are the caller's.
 *
 * A value goes straight to the first job that waits to get one. The place of a
 * value that is taken goes straight to the first job that waits to put one. So
 * nobody overtakes, and:
 *   - jobs wait to get only while the queue is empty;
 *   - jobs wait to put only while it is full;
 *   - nobody waits on a closed queue. */
#ifndef UJ_CORE_QUEUE_H
#define UJ_CORE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/waitq.h"

struct uj_job;

struct uj_queue {
  struct uj_waitq getters;
  struct uj_waitq putters;
  uint64_t count; /* values that are stored */
  uint64_t capacity;
  bool closed;
};

void uj_queue_init(struct uj_queue *queue, uint64_t capacity);

/* What the caller must do with a value. */
enum uj_queue_result {
  UJ_QUEUE_STORED, /* put: store it at the end. get: take the first one */
  UJ_QUEUE_HANDED, /* put: give it to *other. get: take the one of *other */
  UJ_QUEUE_WAIT,   /* put: it is full. get: it is empty */
  UJ_QUEUE_CLOSED
};

/* Puts a value. With UJ_QUEUE_HANDED *other is the job that gets it, which has
 * been woken. */
enum uj_queue_result uj_queue_put(struct uj_queue *queue,
                                  struct uj_job **other);

/* Gets a value. *other is NULL, or the job whose put this makes possible, which
 * has been woken. With UJ_QUEUE_STORED the value of *other must then be stored
 * at the end. */
enum uj_queue_result uj_queue_get(struct uj_queue *queue,
                                  struct uj_job **other);

/* Wakes all waiters with UJ_WAKE_CLOSED. What is stored can still be got. */
void uj_queue_close(struct uj_queue *queue);

#endif
