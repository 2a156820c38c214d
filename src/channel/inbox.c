#include "channel/inbox.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "channel/process.h"
#include "core/link.h"

struct uj_inbox {
  unsigned nforks; /* when it was made */
  struct uj_inbox *lost_before;
  pthread_mutex_t lock;
  atomic_uint refs;     /* of the state, and of each thread that will ring */
  atomic_bool has_news; /* `news` is not empty */
  struct uj_link news;  /* of uj_seat::news */
  bool asleep;
  void (*wake)(void *arg); /* NULL: nobody is to be woken */
  void *arg;
};

struct uj_inbox *uj_inbox_new(void)
{
  struct uj_inbox *self = calloc(1, sizeof(*self));
  if (self == NULL)
    return NULL;
  if (pthread_mutex_init(&self->lock, NULL) != 0) {
    free(self);
    return NULL;
  }
  self->nforks = uj_process_forks();
  atomic_init(&self->refs, 1);
  uj_link_init(&self->news);
  self->asleep = true;
  return self;
}

bool uj_inbox_is_here(const struct uj_inbox *self)
{
  return self->nforks == uj_process_forks();
}

static void drop(struct uj_inbox *self)
{
  if (atomic_fetch_sub(&self->refs, 1) > 1)
    return;
  pthread_mutex_destroy(&self->lock);
  free(self);
}

/* In the child of a fork those of the parent, whose lock may be taken for ever.
 * They are kept, so that they are no leak. */
static _Atomic(struct uj_inbox *) lost;

void uj_inbox_end(struct uj_inbox *self)
{
  if (!uj_inbox_is_here(self)) {
    self->lost_before = atomic_exchange(&lost, self);
    return;
  }
  pthread_mutex_lock(&self->lock);
  self->wake = NULL;
  pthread_mutex_unlock(&self->lock);
  drop(self);
}

/* ---- in any thread ------------------------------------------------------- */

bool uj_inbox_post(struct uj_inbox *self, struct uj_link *news)
{
  bool rings;
  pthread_mutex_lock(&self->lock);
  if (uj_link_empty(news))
    uj_link_append(&self->news, news);
  atomic_store(&self->has_news, true);
  rings = self->asleep && self->wake != NULL;
  self->asleep = false; /* once is enough */
  if (rings)
    atomic_fetch_add(&self->refs, 1);
  pthread_mutex_unlock(&self->lock);
  return rings;
}

void uj_inbox_ring(struct uj_inbox *self)
{
  pthread_mutex_lock(&self->lock);
  if (self->wake != NULL)
    self->wake(self->arg);
  pthread_mutex_unlock(&self->lock);
  drop(self);
}

/* ---- in the thread of the state ------------------------------------------ */

bool uj_inbox_has_news(const struct uj_inbox *self)
{
  return atomic_load(&self->has_news);
}

static void remove_link(struct uj_inbox *self, struct uj_link *news)
{
  uj_link_remove(news);
  atomic_store(&self->has_news, !uj_link_empty(&self->news));
}

struct uj_link *uj_inbox_take(struct uj_inbox *self)
{
  struct uj_link *news = NULL;
  if (!uj_inbox_has_news(self))
    return NULL;
  pthread_mutex_lock(&self->lock);
  if (!uj_link_empty(&self->news)) {
    news = self->news.next;
    remove_link(self, news);
  }
  pthread_mutex_unlock(&self->lock);
  return news;
}

void uj_inbox_forget(struct uj_inbox *self, struct uj_link *news)
{
  pthread_mutex_lock(&self->lock);
  remove_link(self, news);
  pthread_mutex_unlock(&self->lock);
}

bool uj_inbox_fall_asleep(struct uj_inbox *self, void (*wake)(void *arg),
                          void *arg)
{
  bool may;
  pthread_mutex_lock(&self->lock);
  may = uj_link_empty(&self->news);
  self->asleep = may;
  self->wake = wake;
  self->arg = arg;
  pthread_mutex_unlock(&self->lock);
  return may;
}

void uj_inbox_wake_up(struct uj_inbox *self)
{
  pthread_mutex_lock(&self->lock);
  self->asleep = false;
  pthread_mutex_unlock(&self->lock);
}
