#define _POSIX_C_SOURCE 200809L
#include "measure/tape.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ---- in the thread that writes ------------------------------------------- */

static void write_slice(struct uj_chrome *chrome,
                        const struct uj_tape_event *event)
{
  if (event->arrow != UJ_TAPE_NO_ARROW)
    uj_chrome_arrow(chrome, event->arrow == UJ_TAPE_SPAWN ? "spawn" : "wake",
                    event->from_ns, event->other);
  uj_chrome_slice(chrome, event->name, event->id, event->other, event->at_ns);
}

static void write_event(struct uj_chrome *chrome,
                        const struct uj_tape_event *event)
{
  static const char *const states[] = {"done", "failed", "cancelled", "killed"};
  switch (event->kind) {
  case UJ_TAPE_SLICE:
    write_slice(chrome, event);
    break;
  case UJ_TAPE_BEGIN:
    uj_chrome_begin_job(chrome, event->name, event->id, event->other,
                        event->at_ns);
    break;
  case UJ_TAPE_END:
    uj_chrome_end_job(chrome, event->name, event->id, states[event->state],
                      event->at_ns);
    break;
  default:
    uj_chrome_count(chrome, event->id, event->other, event->at_ns);
  }
}

/* Writes all events that there are, into the file. Returns how many there have
 * been so far. */
static uint64_t write_events(struct uj_tape *self)
{
  uint64_t tail = atomic_load_explicit(&self->tail, memory_order_relaxed);
  uint64_t head;
  while ((head = atomic_load_explicit(&self->head, memory_order_acquire)) !=
         tail) {
    for (; tail != head; tail++)
      write_event(&self->chrome, &self->ring[tail % UJ_TAPE_ROOM]);
    atomic_store_explicit(&self->tail, tail, memory_order_release);
  }
  uj_chrome_flush(&self->chrome);
  if (self->chrome.fd < 0)
    atomic_store(&self->over, true);
  return tail;
}

static void sleep_some(struct uj_tape *self)
{
  struct timespec until;
  (void)clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += UJ_TAPE_MS * 1000000L;
  until.tv_sec += until.tv_nsec / 1000000000L;
  until.tv_nsec %= 1000000000L;
  (void)pthread_cond_timedwait(&self->work, &self->lock, &until);
}

static void *run_thread(void *arg)
{
  struct uj_tape *self = arg;
  bool stops = false;
  while (!stops) {
    uint64_t written;
    pthread_mutex_lock(&self->lock);
    if (!self->stops && !self->asked)
      sleep_some(self);
    self->asked = false;
    stops = self->stops;
    pthread_mutex_unlock(&self->lock);
    written = write_events(self);
    pthread_mutex_lock(&self->lock);
    self->written = written;
    pthread_cond_broadcast(&self->done);
    pthread_mutex_unlock(&self->lock);
  }
  return NULL;
}

/* ---- beginning and end --------------------------------------------------- */

/* The thread sleeps by a clock that nobody sets. */
static void make_conditions(struct uj_tape *self)
{
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&self->work, &attributes);
  pthread_condattr_destroy(&attributes);
  pthread_cond_init(&self->done, NULL);
  pthread_mutex_init(&self->lock, NULL);
}

/* Signals are for the thread of the loop. */
static int start_thread(struct uj_tape *self)
{
  sigset_t all, before;
  int error;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(&self->thread, NULL, run_thread, self);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

struct uj_tape *uj_tape_open(const char *path, uint64_t limit,
                             uint64_t begin_ns)
{
  struct uj_tape *self = aligned_alloc(64, sizeof(*self));
  int error;
  if (self == NULL)
    return NULL;
  self->pid = (int)getpid();
  self->stops = self->asked = false;
  self->written = 0;
  self->free_to = UJ_TAPE_PART;
  atomic_init(&self->head, 0);
  atomic_init(&self->tail, 0);
  atomic_init(&self->over, false);
  error = uj_chrome_open(&self->chrome, path, limit, begin_ns);
  if (error == 0) {
    make_conditions(self);
    error = start_thread(self);
    if (error != 0)
      uj_chrome_close(&self->chrome);
  }
  if (error == 0)
    return self;
  free(self);
  errno = error;
  return NULL;
}

static bool is_here(struct uj_tape *self)
{
  if (self->pid == (int)getpid())
    return true;
  atomic_store(&self->over, true);
  return false;
}

void uj_tape_close(struct uj_tape *self)
{
  if (is_here(self)) {
    pthread_mutex_lock(&self->lock);
    self->stops = true;
    pthread_cond_signal(&self->work);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->work);
    pthread_cond_destroy(&self->done);
  }
  uj_chrome_close(&self->chrome); /* the child of a fork writes nothing */
}

void uj_tape_free(struct uj_tape *self)
{
  free(self);
}

/* ---- in the thread of the loop ------------------------------------------- */

static void ask(struct uj_tape *self)
{
  self->asked = true;
  pthread_cond_signal(&self->work);
}

void uj_tape_wake(struct uj_tape *self)
{
  if (!is_here(self))
    return;
  pthread_mutex_lock(&self->lock);
  ask(self);
  pthread_mutex_unlock(&self->lock);
}

/* Waits until so many events are written. */
static void wait_for(struct uj_tape *self, uint64_t count)
{
  if (!is_here(self))
    return;
  pthread_mutex_lock(&self->lock);
  while (self->written < count) {
    ask(self);
    pthread_cond_wait(&self->done, &self->lock);
  }
  pthread_mutex_unlock(&self->lock);
}

void uj_tape_sync(struct uj_tape *self)
{
  wait_for(self, atomic_load_explicit(&self->head, memory_order_relaxed));
}

/* The parts of the ring are given out one by one: so the thread is woken for
 * each, and the loop asks only there how far it is. */
void uj_tape_make_room(struct uj_tape *self, uint64_t head)
{
  uint64_t end = head + UJ_TAPE_PART;
  uj_tape_wake(self);
  if (!uj_tape_is_over(self) &&
      end - atomic_load_explicit(&self->tail, memory_order_acquire) >
          UJ_TAPE_ROOM)
    wait_for(self, end - UJ_TAPE_ROOM);
  self->free_to = end;
}
