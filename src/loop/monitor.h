/* Sees that a job has run too long: one thread for all loops of the process.
 *
 * A loop counts its ticks: one when it goes into a job, one when it comes out.
 * The monitor looks at that number now and then. When it is the same and odd
 * for as long as the loop wants, it sends a signal to the loop's thread, where
 * a function of the loop runs in the signal handler. That is all: a job that
 * suspends in time costs two increments. The idea is that of the monitor thread
 * of Go's runtime (proc.go: sysmon, retake).
 *
 * The monitor reads and writes the atomics of `struct uj_watch` and its own
 * part of it, nothing else. When all loops have slept for two looks, so does
 * it. The thread lives from the first uj_monitor_add() to the last
 * uj_monitor_remove(). */
#ifndef UJ_LOOP_MONITOR_H
#define UJ_LOOP_MONITOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"

struct uj_watch {
  /* Of the loop. */
  _Atomic uint64_t tick;        /* odd while a job runs */
  _Atomic uint64_t due_tick;    /* the tick that due_ns is for */
  _Atomic uint64_t due_ns;      /* when to interrupt it */
  _Atomic uint64_t span_ns;     /* after which time to interrupt any other */
  _Atomic bool asleep;          /* the loop waits; no job runs */
  void (*interrupt)(void *arg); /* runs in the signal handler */
  void *arg;
  int signal; /* which one is sent */

  /* Of the monitor. */
  _Atomic uint64_t since_ns;   /* when it saw since_tick for the first time */
  _Atomic uint64_t since_tick; /* the tick that it saw last */
  _Atomic bool sent;           /* a signal is on its way */
  struct uj_watch *next;       /* of all watches */
  struct uj_watch *outer;      /* of this thread */
  bool was_blocked;            /* the signal, in this thread */
  unsigned signals;            /* see uj_driver_count_signals() */
  uint64_t sent_ns;   /* the due time that a signal was sent for, or 0 */
  uint64_t resend_ns; /* not to send again for it before */
  uint64_t pause_ns;  /* twice as long each time it is not heard */
  uint64_t thread;    /* an opaque pthread_t */
};

/* The signal that is used when none is chosen. */
int uj_monitor_signal(void);
/* The number of a signal that may be chosen, by its name; 0 for others. */
int uj_monitor_signal_named(const char *name);

/* Begins to watch the calling thread's loop. `interrupt`, `arg` and `signal`
 * are set. Returns 0 or a negative error of uj_driver_strerror(). */
int uj_monitor_add(struct uj_watch *watch);
/* Ends that, on the same thread. The last one ends the monitor. */
void uj_monitor_remove(struct uj_watch *watch);

/* The loop's marks: into a job, out of it. */
static inline void uj_watch_tick(struct uj_watch *watch)
{
  uint64_t tick = atomic_load_explicit(&watch->tick, memory_order_relaxed);
  atomic_store_explicit(&watch->tick, tick + 1, memory_order_relaxed);
}

/* How often it went into a job. */
static inline uint64_t uj_watch_count_runs(struct uj_watch *watch)
{
  return (atomic_load_explicit(&watch->tick, memory_order_relaxed) + 1) / 2;
}

/* The loop is about to wait, and has waited. */
static inline void uj_watch_sleep(struct uj_watch *watch)
{
  atomic_store(&watch->asleep, true);
}
void uj_watch_wake(struct uj_watch *watch);

/* Asks for an interruption of the job that runs, at this time. */
static inline void uj_watch_interrupt_at(struct uj_watch *watch,
                                         uint64_t due_ns)
{
  atomic_store(&watch->due_ns, due_ns);
  atomic_store(&watch->due_tick, atomic_load(&watch->tick));
}

/* Since when the job has run that runs, as far as the monitor knows: it is
 * never earlier. UJ_NEVER when it does not know. */
static inline uint64_t uj_watch_since(struct uj_watch *watch)
{
  return atomic_load(&watch->since_tick) == atomic_load(&watch->tick)
             ? atomic_load(&watch->since_ns)
             : UJ_NEVER;
}

#endif
