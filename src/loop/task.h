/* Functions that run in threads of our own, beside a loop.
 *
 * They do not run in libuv's pool, because files and names wait there, too, and
 * functions that compute would take all of its threads. The threads begin with
 * the first tasks, and end with the driver.
 *
 * A task is started and stopped by the thread of its driver. When it has run,
 * or was stopped before it began, it is put into a list, from which that thread
 * takes it; the loop is woken for that. A started task must not be freed before
 * uj_tasks_take_ended() has returned it. */
#ifndef UJ_LOOP_TASK_H
#define UJ_LOOP_TASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/link.h"

struct uj_tasks;

enum uj_task_place {
  UJ_TASK_NOWHERE, /* not started, or taken */
  UJ_TASK_QUEUED,
  UJ_TASK_RUNNING,
  UJ_TASK_ENDED
};

/* Embedded in what the caller allocates, who sets the first two fields. */
struct uj_task {
  void (*run)(struct uj_task *task); /* called in a thread */
  /* The running task is stopped: called in its thread, in a signal handler,
   * between any two instructions. It can come late, or more than once. */
  void (*interrupt)(struct uj_task *task);
  struct uj_link link;      /* in the list of its place */
  enum uj_task_place place; /* under the lock of the tasks */
  void *thread;             /* that runs it: ours, under the same lock */
  atomic_bool stop;         /* nobody waits for its result any more */
  bool lost;                /* the process was forked: its thread is not here */
  /* What it has said and nobody has taken yet: these are under the lock. */
  struct uj_link saying; /* in uj_tasks::saying while there is something */
  struct uj_link said;   /* of uj_saying::link */
  unsigned nsaid;
};

/* Something that a running task says to the thread of its driver. Made by the
 * one, and freed by the other. */
struct uj_saying {
  struct uj_link link;
};

/* The tasks of a driver, which wake it by `wake(arg)` in any thread. Returns
 * NULL without memory. */
struct uj_tasks *uj_tasks_new(void (*wake)(void *arg), void *arg);
/* Ends the threads and frees it, when the loop was closed. No task may be left.
 */
void uj_tasks_free(struct uj_tasks *tasks);
/* For the child of a fork, in which none of the threads exists. A task that ran
 * counts as ended, with `lost` set; what was queued runs here as well. */
void uj_tasks_forget_threads(struct uj_tasks *tasks);

/* How many processors the process may use. */
unsigned uj_tasks_count_processors(void);

/* How many threads there may be, at least one; UJ_TASKS_DEFAULT for as many as
 * the process has processors, and two at least, so that one function that
 * blocks does not hold up all others. When there are more, they end as soon as
 * they are idle. */
enum { UJ_TASKS_DEFAULT = 0, UJ_TASKS_MOST_THREADS = 1024 };
void uj_tasks_set_limit(struct uj_tasks *tasks, unsigned limit);

/* How many have been started and not taken. */
uint64_t uj_tasks_count(const struct uj_tasks *tasks);
/* Whether a task has ended or said something that nobody has taken yet. */
bool uj_tasks_have_news(const struct uj_tasks *tasks);
/* Takes the next task that has ended, or NULL. */
struct uj_task *uj_tasks_take_ended(struct uj_tasks *tasks);
/* Stops all tasks. */
void uj_tasks_stop(struct uj_tasks *tasks);

/* Starts a task. Returns 0, or a negative error of uj_driver_strerror() if it
 * was not started. */
int uj_task_start(struct uj_tasks *tasks, struct uj_task *task);

/* Keeps a task from running if it has not begun; otherwise asks it to come to
 * an end. Either way it ends up in the list of those that have ended. */
void uj_task_stop(struct uj_tasks *tasks, struct uj_task *task);

/* In `run`: says something, which the driver's thread takes; the loop is woken
 * for it. While UJ_TASK_MOST_SAID have not been taken it waits. Returns false
 * when the task is stopped: then the caller keeps it. */
enum { UJ_TASK_MOST_SAID = 100 };
bool uj_task_say(struct uj_task *task, struct uj_saying *saying);
/* Takes a task that has said something since it was last returned; or NULL. */
struct uj_task *uj_tasks_take_saying(struct uj_tasks *tasks);
/* Takes the next thing that it has said, or NULL. */
struct uj_saying *uj_task_take_said(struct uj_tasks *tasks,
                                    struct uj_task *task);

/* For `run` and `interrupt`: whether the task should come to an end. */
static inline bool uj_task_stopped(struct uj_task *task)
{
  return atomic_load(&task->stop);
}

#endif
