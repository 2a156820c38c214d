/* The monitor: one thread of the process that notices when a job of any loop
 * runs too long.
 *
 * Each loop counts ticks: one when it enters a job, one when it leaves it. So
 * the count is odd while a job runs. The monitor looks at it now and then. When
 * it has been odd and unchanged for as long as the loop allows, the monitor
 * sends a signal to the loop's thread, and the signal handler calls a function
 * of the loop. So a job that suspends in time costs two increments. The idea is
 * that of the monitor thread of Go's runtime (proc.go: sysmon, retake).
 *
 * The monitor touches nothing but the atomics of `struct uj_watch` and its own
 * part of it. When all loops have been asleep for two looks it sleeps, too. The
 * thread lives from the first uj_monitor_add() to the last
 * uj_monitor_remove(). */
#ifndef UJ_LOOP_MONITOR_H
#define UJ_LOOP_MONITOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "loop/poke.h"

/* Owned by the loop, and lent to the monitor from uj_monitor_add() to
 * uj_monitor_remove(). */
struct uj_watch {
  /* Written by the loop. */
  _Atomic uint64_t tick;      /* odd while a job runs */
  _Atomic uint64_t due_tick;  /* the tick that due_ns is for */
  _Atomic uint64_t due_ns;    /* when to interrupt the job of due_tick */
  _Atomic uint64_t span_ns;   /* after what time to interrupt any other job */
  _Atomic bool asleep;        /* the loop waits; no job runs */
  _Atomic uint64_t sample_ns; /* how often a job that runs is to be sampled; or
                                 0 */
  struct uj_poke poke;        /* how its thread is interrupted */

  /* Written by the monitor. */
  _Atomic uint64_t since_ns;   /* when the monitor first saw since_tick */
  _Atomic uint64_t since_tick; /* the tick that it saw last */
  _Atomic uint64_t look_ns;    /* when it looked last */
  _Atomic uint64_t samples;    /* that are due in the tick of sample_tick; taken
                                  by the loop */
  uint64_t sample_tick;
  uint64_t next_sample_ns;
  struct uj_watch *next; /* in the monitor's list of all watches */
  unsigned signals;      /* see uj_signals_count() */
  uint64_t sent_ns;      /* the due time that a signal was sent for, or 0 */
  uint64_t resend_ns;    /* when to send the next one for it at the earliest */
  uint64_t pause_ns;     /* until then; doubled each time no job heard it */
};

/* Begins to watch the calling thread's loop. `poke` is set up,
 * but not added. Returns 0 or a negative error of uj_driver_strerror(). */
int uj_monitor_add(struct uj_watch *watch);
/* Ends the watch, on the same thread. The last one ends the monitor. */
void uj_monitor_remove(struct uj_watch *watch);

/* Has the monitor call `errand` once, in its own thread, at its next look; it
 * looks when a loop wakes up. Any thread may call it, and a signal handler. The
 * errand may add and remove no watch. Without a monitor nothing happens. */
void uj_monitor_send(void (*errand)(void));

/* Marks that the loop enters or leaves a job. */
static inline void uj_watch_tick(struct uj_watch *watch)
{
  uint64_t tick = atomic_load_explicit(&watch->tick, memory_order_relaxed);
  atomic_store_explicit(&watch->tick, tick + 1, memory_order_relaxed);
}

/* How often the loop has entered a job. */
static inline uint64_t uj_watch_count_runs(struct uj_watch *watch)
{
  return (atomic_load_explicit(&watch->tick, memory_order_relaxed) + 1) / 2;
}

/* Mark that the loop is about to wait, and that it has waited. */
static inline void uj_watch_sleep(struct uj_watch *watch)
{
  atomic_store(&watch->asleep, true);
}
void uj_watch_wake(struct uj_watch *watch);

/* Asks for the running job to be interrupted at this time. */
static inline void uj_watch_interrupt_at(struct uj_watch *watch,
                                         uint64_t due_ns)
{
  atomic_store(&watch->due_ns, due_ns);
  atomic_store(&watch->due_tick, atomic_load(&watch->tick));
}

/* Since when the running job has run, as far as the monitor knows: the job
 * cannot have begun later. UJ_NEVER when the monitor has not seen it yet. */
static inline uint64_t uj_watch_since(struct uj_watch *watch)
{
  return atomic_load(&watch->since_tick) == atomic_load(&watch->tick)
             ? atomic_load(&watch->since_ns)
             : UJ_NEVER;
}

#endif
