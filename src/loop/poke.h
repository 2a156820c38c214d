/* Pokes: how another thread has a function called in this one, whatever it does
 * at that moment. It is sent a signal, in whose handler the function runs.
 *
 * A thread has a stack of pokes, since a loop can run inside of a function that
 * another loop has called. Signals belong to the process: a handler that the
 * program has for the same signal is called for signals that are not ours. */
#ifndef UJ_LOOP_POKE_H
#define UJ_LOOP_POKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Owned by the one who is poked. `interrupt`, `arg` and `signal` are set before
 * uj_poke_add(). */
struct uj_poke {
  void (*interrupt)(void *arg); /* runs in the signal handler */
  void *arg;
  int signal;            /* the number of the signal that is sent */
  _Atomic bool sent;     /* a signal is on its way */
  struct uj_poke *outer; /* the enclosing one of the same thread */
  bool was_blocked;      /* the thread had the signal blocked before */
  uint64_t thread;       /* an opaque pthread_t */
};

/* The signal that is used when none is chosen. */
int uj_poke_signal(void);
/* The number of a signal by its name; 0 for one that cannot be chosen. */
int uj_poke_signal_named(const char *name);

/* From now on the calling thread can be poked. Returns 0 or a negative error of
 * uj_driver_strerror(). */
int uj_poke_add(struct uj_poke *poke);
/* Ends that; must be called by the same thread. No uj_poke_send() may be under
 * way or follow. */
void uj_poke_remove(struct uj_poke *poke);

/* Has `interrupt` called in the thread of the poke, which must be added. Any
 * thread may call this. Several calls may have the effect of one. */
void uj_poke_send(struct uj_poke *poke);

/* Another process can call this one: it sends SIGURG with this value, by
 * sigqueue(). Who has no handler for it is not disturbed, because the system
 * ignores that signal then. */
#define UJ_POKE_CALL 0x756a6f62

/* From now on, and until as many calls of uj_poke_stop_hearing(), `heard` is
 * called for that, in the signal handler, in any thread. It is the same
 * function each time. Returns 0 or a negative error of uj_driver_strerror(). */
int uj_poke_hear(void (*heard)(void));
void uj_poke_stop_hearing(void);

#endif
