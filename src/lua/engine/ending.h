/* How a run is asked to end before its main job has: by a signal, or by
 * uvjobs.exit(). The main job is closed then, and every job can be preempted,
 * whether it has a time slice or not, so that nobody can keep the others from
 * ending. The second also holds once the time limit of a test has passed. */
#ifndef UJ_LUA_ENGINE_ENDING_H
#define UJ_LUA_ENGINE_ENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "lua/state/state.h"

struct uj_ending {
  bool begun;           /* the run has been asked to end */
  bool forces;          /* every job can be preempted, as when it is begun */
  uint64_t force_ns;    /* from when on it will; or UJ_NEVER */
  int signal;           /* by which the main job was closed; 0 for none */
  uint64_t close_ns;    /* how long the main job has to end then */
  uint64_t real_ns;     /* when the virtual clock was last moved on for that */
  bool exits;           /* the process is to exit when the run has ended, */
  int status;           /* with this status */
  bool blocks_child;    /* the caller of run() had SIGCHLD blocked */
  bool closes_rest;     /* the main job has ended, and the rest was closed, */
  uint64_t scheds_seen; /* with so many schedulers: uj_loop::nscheds then */
};

/* The Lua state is a worker's: its runs end at once when the function is
 * stopped that the worker runs. It is the same for all runs. */
struct uj_outer {
  bool (*is_stopped)(void *arg); /* or NULL */
  void *arg;
};

/* A run begins, whose main job has so long to end when that is asked; or the
 * Lua state does. */
void uj_ending_init(struct uj_state *S, uint64_t close_ns);
/* The run is over: jobs that live on are not forced to end. */
void uj_ending_forget(struct uj_state *S);

/* Closes the main job. It may have ended before: then only the rest of the run
 * is affected. */
void uj_ending_begin(struct uj_state *S);

/* From then on every job can be preempted, on the clock of the run; until then,
 * or until the run is to end, nothing changes. */
void uj_ending_force_at(struct uj_state *S, uint64_t force_ns);

/* Under the virtual clock: moves it on by the real time that has passed since
 * the last call. Once jobs are forced to end, close timeouts hold in real time,
 * or a job that computes, or a child process, would make them last for ever. */
void uj_ending_pass_time(struct uj_state *S);

/* Whether this is a worker's Lua state, and the function is stopped. */
bool uj_ending_is_stopped(const struct uj_state *S);

/* Called in a signal handler of the thread: the function is stopped. */
void uj_ending_wake_stopped(void *state);

/* Asks the run to end if a poll of the driver has seen a signal, or the
 * function is stopped of which it is a part. */
void uj_ending_take_signal(struct uj_state *S);

/* For a job that does not let the loop do it: polls for a signal first, and
 * looks whether jobs are to be forced. */
void uj_ending_poll(struct uj_state *S);

#endif
