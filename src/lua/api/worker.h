/* The Lua states in which functions run in the thread pool.
 *
 * A worker has a Lua state of its own. A thread that begins a call takes an
 * idle worker, or makes one, and puts it back afterwards. So there are never
 * more workers than threads, however many calls are in the queue. */
#ifndef UJ_LUA_WORKER_H
#define UJ_LUA_WORKER_H

#include <stdbool.h>

#include "loop/task.h"
#include "lua/base/copy.h"

struct uj_workers;

enum uj_call_status {
  UJ_CALL_NO_MEMORY, /* also of a call that did not run */
  UJ_CALL_RETURNED,
  UJ_CALL_RAISED
};

/* A call of a function in a worker. It is memory of malloc(), which belongs to
 * the thread from the start of the task to its end. */
struct uj_call {
  struct uj_task task; /* first: the task is the call */
  struct uj_workers *workers;
  struct uj_buffer given; /* package.path, package.cpath, function, arguments */
  int nargs;
  enum uj_call_status status;
  struct uj_buffer result; /* the results, or the error */
  int nresults;
};

/* Returns NULL when there is no memory. */
struct uj_workers *uj_workers_new(void);
/* Closes all workers. None of them may be running. */
void uj_workers_free(struct uj_workers *workers);

/* The function of a call's task: runs the call in a worker. */
void uj_worker_run(struct uj_task *task);

#endif
