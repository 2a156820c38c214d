/* Functions that run in libuv's thread pool.
 *
 * A task is started and stopped by the thread of its driver. When the task has
 * run, or was stopped before it began, uv_run() puts it into a list, from which
 * that thread takes it. A started task must not be freed before
 * uj_tasks_take_ended() has returned it. */
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
  void *request;    /* libuv's part, freed at its end; NULL if not started */
  atomic_bool stop; /* nobody waits for its result any more */
};

/* The tasks of a driver. */
struct uj_tasks {
  void *loop;             /* the driver's uv_loop_t */
  struct uj_link started; /* of uj_task::link */
  struct uj_link ended;   /* of uj_task::link: not taken yet */
  uint64_t count;         /* of the tasks in `started` */
};

void uj_tasks_init(struct uj_tasks *tasks, void *loop);
/* Stops all tasks. */
void uj_tasks_stop(struct uj_tasks *tasks);

/* Starts a task whose `run` is set. Returns 0, or a negative error of
 * uj_driver_strerror() if it was not started. */
int uj_task_start(struct uj_tasks *tasks, struct uj_task *task);

/* Keeps a task from running if it has not begun; otherwise asks it to come to
 * an end. Either way it ends up in the list of those that have ended. */
void uj_task_stop(struct uj_task *task);

/* For `run`: whether the task should come to an end. */
bool uj_task_stopped(struct uj_task *task);

/* Takes the next task that has ended, or NULL. */
struct uj_task *uj_tasks_take_ended(struct uj_tasks *tasks);

#endif
