/* The Lua states in which functions run in the thread pool.
 *
 * A worker is a Lua state of its own. A thread takes an idle one, or makes one,
 * when a call begins to run in it, and puts it back afterwards: so there are
 * never more than threads, however many calls are in the queue. */
#ifndef UJ_LUA_WORKER_H
#define UJ_LUA_WORKER_H

#include <stdbool.h>

#include "loop/task.h"
#include "lua/base/copy.h"

struct uj_workers;

enum uj_call_status {
  UJ_CALL_NO_MEMORY, /* also when it has not run */
  UJ_CALL_RETURNED,
  UJ_CALL_RAISED
};

/* A call of a function in a worker. Memory of malloc(), that the thread has
 * from the start of the task to its end. */
struct uj_call {
  struct uj_task task; /* first: the task is the call */
  struct uj_workers *workers;
  struct uj_buffer given; /* package.path, package.cpath, function, arguments */
  int nargs;
  enum uj_call_status status;
  struct uj_buffer result; /* the results, or the error */
  int nresults;
};

/* NULL when there is no memory. */
struct uj_workers *uj_workers_new(void);
/* Closes all. None runs. */
void uj_workers_free(struct uj_workers *workers);

/* What the task of a call runs. */
void uj_worker_run(struct uj_task *task);

#endif
