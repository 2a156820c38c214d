/* Functions that run in libuv's thread pool.
 *
 * A task is started and stopped by the thread of its driver. When it has run,
 * or was stopped before it began, the driver notes that in a list, in
 * uv_run(); the thread asks for it afterwards. Until uj_tasks_take_ended() has
 * returned a task its memory belongs to libuv. */
#ifndef UJ_LOOP_TASK_H
#define UJ_LOOP_TASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/link.h"

/* Embedded in what the caller allocates. */
struct uj_task {
  void (*run)(struct uj_task *task); /* called in a thread of the pool */
  struct uj_link link;               /* in uj_tasks::started, then ::ended */
  void *request;    /* what libuv has of it; NULL when it is not started */
  atomic_bool stop; /* nobody waits for it any more */
};

/* The tasks of a driver. */
struct uj_tasks {
  void *loop; /* its uv_loop_t */
  struct uj_link started;
  struct uj_link ended; /* and not asked for yet */
  uint64_t count;       /* of those in `started` */
};

void uj_tasks_init(struct uj_tasks *tasks, void *loop);
/* Stops all. */
void uj_tasks_stop(struct uj_tasks *tasks);

/* `run` is set. Returns 0 or a negative error of uj_driver_strerror(): then the
 * task is the caller's as before. */
int uj_task_start(struct uj_tasks *tasks, struct uj_task *task);

/* One that is still in the queue will not run; one that runs is asked to come
 * to an end. Both end as others do. */
void uj_task_stop(struct uj_task *task);

/* For `run`: whether it is to come to an end. */
bool uj_task_stopped(struct uj_task *task);

/* Takes one that has ended out of the list; NULL when there is none. */
struct uj_task *uj_tasks_take_ended(struct uj_tasks *tasks);

#endif
