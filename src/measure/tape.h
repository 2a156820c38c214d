/* Events of a trace on their way from the thread of a loop to that which
 * formats and writes them (measure/chrome.h).
 *
 * Formatting an event takes longer than the switch that it is about, so the
 * thread of the loop only stores 40 bytes, in a ring. The ring is bounded: when
 * the other thread does not keep up, the loop waits for it, so no event is
 * missing, and no order is wrong. The other thread reads nothing else of the
 * program, but the names, which do not change once they have a number.
 *
 * In the child of a fork that thread does not exist: the tape is over there. */
#ifndef UJ_MEASURE_TAPE_H
#define UJ_MEASURE_TAPE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "measure/chrome.h"

/* Events of the ring; that so many new ones wake the thread; and that it looks
 * for new ones so often. */
enum { UJ_TAPE_ROOM = 16384, UJ_TAPE_PART = 4096, UJ_TAPE_MS = 100 };

enum uj_tape_kind { UJ_TAPE_SLICE, UJ_TAPE_BEGIN, UJ_TAPE_END, UJ_TAPE_COUNT };

enum uj_tape_arrow { UJ_TAPE_NO_ARROW, UJ_TAPE_SPAWN, UJ_TAPE_WAKE };

struct uj_tape_event {
  uint64_t at_ns;   /* of a slice: its end */
  uint64_t id;      /* of the job; of a count: how many are ready */
  uint64_t other;   /* the parent; how many live; the beginning of the slice */
  uint64_t from_ns; /* of an arrow to the beginning of the slice */
  uint32_t name;
  uint8_t kind;  /* enum uj_tape_kind */
  uint8_t arrow; /* enum uj_tape_arrow, of a slice */
  uint8_t state; /* at an end: its number from `done` on */
};

struct uj_tape {
  struct uj_chrome chrome; /* the thread's, while it runs */
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t work, done;
  int pid;
  /* Under the lock. */
  bool stops, asked;
  uint64_t written; /* so many events are in the file, or never will be */
  /* Of the thread of the loop. */
  _Alignas(64) _Atomic uint64_t head;
  uint64_t free_to; /* there is room up to here */
  /* Of the other thread. */
  _Alignas(64) _Atomic uint64_t tail;
  atomic_bool over; /* nothing is written any more */
  struct uj_tape_event ring[UJ_TAPE_ROOM];
};

/* Opens the file, and starts the thread. Returns NULL and sets errno when it
 * cannot. */
struct uj_tape *uj_tape_open(const char *path, uint64_t limit,
                             uint64_t begin_ns);
/* Writes all there is, and ends the thread. The chrome is closed; it can be
 * looked at until uj_tape_free(). */
void uj_tape_close(struct uj_tape *self);
void uj_tape_free(struct uj_tape *self);

/* Whether nothing is written any more. */
static inline bool uj_tape_is_over(const struct uj_tape *self)
{
  return atomic_load_explicit(&self->over, memory_order_relaxed);
}

/* Has the thread write what there is, soon. */
void uj_tape_wake(struct uj_tape *self);
/* Waits until all is written; then the chrome can be looked at, until the next
 * event. */
void uj_tape_sync(struct uj_tape *self);

/* Makes room in the ring, for events from this number on. */
void uj_tape_make_room(struct uj_tape *self, uint64_t head);

static inline void uj_tape_add(struct uj_tape *self, struct uj_tape_event event)
{
  uint64_t head = atomic_load_explicit(&self->head, memory_order_relaxed);
  if (head == self->free_to)
    uj_tape_make_room(self, head);
  self->ring[head % UJ_TAPE_ROOM] = event;
  atomic_store_explicit(&self->head, head + 1, memory_order_release);
}

#endif
