/* The Lua states in which functions run in other threads.
 *
 * A worker has a Lua state of its own. A thread that begins a call takes an
 * idle worker, or makes one, and puts it back afterwards. So there are never
 * more workers than threads, however many calls are in the queue. */
#ifndef UJ_LUA_WORKER_H
#define UJ_LUA_WORKER_H

#include <lua.h>
#include <stdbool.h>

#include "loop/task.h"
#include "lua/base/copy.h"

struct uj_workers;
struct worker;
struct uj_state;

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
  struct worker *volatile worker; /* that runs it, or NULL: read by a signal
                                     handler of its thread */
  int nargs;
  enum uj_call_status status;
  bool listens;            /* somebody hears what it sends */
  struct uj_buffer result; /* the results, or the error */
  int nresults;
  char *traceback; /* of malloc(): where the error was raised; or NULL */
};

/* Values that a call has sent to its job, in memory of malloc(). */
struct uj_sent {
  struct uj_saying saying; /* first: it is what the task says */
  struct uj_buffer values;
  int n;
};
void uj_sent_free(struct uj_sent *sent);

/* Returns NULL when there is no memory. */
struct uj_workers *uj_workers_new(void);
/* Closes all workers. None of them may be running. */
void uj_workers_free(struct uj_workers *workers);

/* The function of a call's task: runs the call in a worker. */
void uj_worker_run(struct uj_task *task);
/* The call was lost in a fork: the thread of its worker is in the parent. */
void uj_worker_abandon(const struct uj_call *call);

/* [-0, +0, -] uvjobs has been loaded in the Lua state L. If that is the state
 * of a worker, a run in it ends when the call is stopped. Returns whether it
 * is. */
bool uj_worker_adopt(lua_State *L, struct uj_state *S);
/* [-0, +0, -] The Lua state L, in which uvjobs was loaded, is closing. */
void uj_worker_disown(lua_State *L);

/* The `interrupt` of a call's task: makes the call end if it is stopped. */
void uj_worker_interrupt(struct uj_task *task);

#endif
