/* The order of a queue of values; the values themselves are the caller's.
 *
 * A value goes straight to the first job that waits to get one, and the place
 * of a value that is taken to the first that waits to put one: nobody
 * overtakes. So:
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

/* What became of a value, or whence one comes. */
enum uj_queue_result {
  UJ_QUEUE_STORED, /* put: store it at the end. get: take the first one */
  UJ_QUEUE_HANDED, /* put: give it to *other. get: take that of *other */
  UJ_QUEUE_WAIT,   /* put: it is full. get: it is empty */
  UJ_QUEUE_CLOSED
};

/* Puts a value. *other is the job that gets it, which has been woken. */
enum uj_queue_result uj_queue_put(struct uj_queue *queue,
                                  struct uj_job **other);

/* Gets a value. *other is NULL, or the job whose put this makes possible, which
 * has been woken: with UJ_QUEUE_STORED its value is to be stored at the end. */
enum uj_queue_result uj_queue_get(struct uj_queue *queue,
                                  struct uj_job **other);

/* Wakes all waiters with UJ_WAKE_CLOSED. What is stored can still be got. */
void uj_queue_close(struct uj_queue *queue);

#endif
