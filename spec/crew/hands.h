/* Threads that are members of a crew, for its tests: each has a box into which
 * others put numbers, and can sleep until something is in it. */
#ifndef SPEC_CREW_HANDS_H
#define SPEC_CREW_HANDS_H

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#include "core/clock.h"
#include "crew/crew.h"
#include "crew/turns.h"

struct hand {
  struct uj_member *member;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t woken;
  bool is_woken;
  atomic_int box; /* how many things are in it */
  uint64_t random;
  int number;
};

static inline bool hand_has_news(void *arg)
{
  return ((struct hand *)arg)->box > 0;
}

static inline void hand_wake(void *arg)
{
  struct hand *self = arg;
  pthread_mutex_lock(&self->lock);
  self->is_woken = true;
  pthread_cond_signal(&self->woken);
  pthread_mutex_unlock(&self->lock);
}

static inline void hand_sleep(struct hand *self)
{
  pthread_mutex_lock(&self->lock);
  while (!self->is_woken)
    pthread_cond_wait(&self->woken, &self->lock);
  self->is_woken = false;
  pthread_mutex_unlock(&self->lock);
}

static inline void hand_host(struct hand *self)
{
  struct uj_member_host host = {hand_has_news, hand_wake, self};
  uj_member_set_host(self->member, &host);
}

static inline void hand_init(struct hand *self, int number,
                             struct uj_member *member)
{
  memset(self, 0, sizeof(*self));
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->woken, NULL);
  self->member = member;
  self->number = number;
  self->random = (uint64_t)number + 1;
}

static inline void hand_start(struct hand *self, void *(*run)(void *arg))
{
  CHECK_EQ(pthread_create(&self->thread, NULL, run, self), 0);
}

static inline void hand_end(struct hand *self)
{
  uj_member_free(self->member);
  pthread_cond_destroy(&self->woken);
  pthread_mutex_destroy(&self->lock);
}

#endif
