#include "channel/channel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "channel/cycle.h"
#include "channel/inbox.h"
#include "channel/process.h"
#include "channel/record.h"

/* ---- seats -------------------------------------------------- */

void uj_seat_init(struct uj_seat *seat, enum uj_seat_kind kind,
                  struct uj_inbox *inbox)
{
  uj_link_init(&seat->place);
  uj_link_init(&seat->news);
  seat->inbox = inbox;
  seat->parcel = NULL;
  seat->kind = kind;
  seat->state = UJ_SEAT_FREE;
  seat->offered = false;
}

static struct uj_seat *seat_at(struct uj_link *place)
{
  return uj_container(place, struct uj_seat, place);
}

/* ---- making and freeing -------------------------------------------------- */

static atomic_uint_fast64_t last_id;

bool uj_channel_is_here(const struct uj_channel *self)
{
  return self->nforks == uj_process_forks();
}

/* In the child of a fork those of the parent, which may have been in the middle
 * of a change. They are kept, so that they are no leak. */
static _Atomic(struct uj_channel *) lost;

/* Nobody has it, so nobody waits. */
static void free_channel(struct uj_shared *shared)
{
  struct uj_channel *self = uj_channel_of(shared);
  struct uj_link stored;
  if (!uj_channel_is_here(self)) {
    self->lost_before = atomic_exchange(&lost, self);
    return;
  }
  uj_link_init(&stored);
  uj_link_splice(&stored, &self->stored);
  pthread_mutex_destroy(&self->lock);
  free(self);
  uj_parcel_free_all(&stored);
}

static void drop_channel(struct uj_shared *shared)
{
  struct uj_channel *self = uj_channel_of(shared);
  if (uj_channel_is_here(self))
    uj_cycle_drop(self, false);
  else
    uj_shared_drop_plainly(shared);
}

static const struct uj_shared_kind channel_kind = {free_channel, drop_channel,
                                                   true};

void uj_channel_hold(struct uj_channel *self)
{
  uj_shared_take(&self->shared);
  atomic_fetch_add(&self->nhandles, 1);
}

void uj_channel_let_go(struct uj_channel *self)
{
  if (uj_channel_is_here(self))
    uj_cycle_drop(self, true);
  else
    uj_shared_drop_plainly(&self->shared);
}

struct uj_channel *uj_channel_new(uint64_t capacity, size_t message_limit)
{
  struct uj_channel *self = calloc(1, sizeof(*self));
  if (self == NULL)
    return NULL;
  if (pthread_mutex_init(&self->lock, NULL) != 0) {
    free(self);
    return NULL;
  }
  uj_shared_init(&self->shared, &channel_kind);
  self->id = atomic_fetch_add(&last_id, 1) + 1;
  self->capacity = capacity;
  self->message_limit = message_limit;
  self->nforks = uj_process_forks();
  uj_link_init(&self->stored);
  uj_link_init(&self->getters);
  uj_link_init(&self->putters);
  uj_link_init(&self->watchers);
  uj_link_init(&self->suspect);
  self->offered = &self->getters;
  return self;
}

struct uj_shared *uj_channel_shared(struct uj_channel *self)
{
  return &self->shared;
}

bool uj_channel_is(const struct uj_shared *shared)
{
  return uj_record_is(shared);
}

struct uj_channel *uj_channel_of(struct uj_shared *shared)
{
  return uj_record_of(shared);
}

/* ---- telling ------------------------------------------------------------- */

/* Under the lock. Nearly every operation wakes one thread at most: that is rung
 * when the lock is free again, because the first thing that it needs is the
 * lock. */
struct bell {
  struct uj_inbox *inbox; /* to be rung, or NULL */
};

static void tell(struct uj_seat *seat, struct bell *bell)
{
  if (!uj_inbox_post(seat->inbox, &seat->news))
    return;
  if (bell->inbox == NULL)
    bell->inbox = seat->inbox;
  else
    uj_inbox_ring(seat->inbox);
}

static void lock(struct uj_channel *self)
{
  pthread_mutex_lock(&self->lock);
}

static void unlock(struct uj_channel *self, const struct bell *bell)
{
  pthread_mutex_unlock(&self->lock);
  if (bell->inbox != NULL)
    uj_inbox_ring(bell->inbox);
}

/* ---- the lines ----------------------------------------------------------- */

static uint64_t available(const struct uj_channel *self)
{
  return self->nstored + self->nputters;
}

static bool is_over(const struct uj_channel *self)
{
  return self->closed && available(self) == 0;
}

/* Somebody who does not wait would get something, or hear that it is over. */
static bool is_open_to_all(const struct uj_channel *self)
{
  return available(self) > self->noffers || is_over(self);
}

static void offer_next(struct uj_channel *self, struct bell *bell)
{
  struct uj_seat *seat = seat_at(self->offered->next);
  seat->offered = true;
  self->offered = &seat->place;
  self->noffers++;
  tell(seat, bell);
}

/* A putter has left whose message was kept for this getter. */
static void withdraw_last(struct uj_channel *self)
{
  struct uj_seat *seat = seat_at(self->offered);
  self->offered = seat->place.prev;
  seat->offered = false;
  self->noffers--;
}

static void remove_getter(struct uj_channel *self, struct uj_seat *seat)
{
  if (self->offered == &seat->place)
    self->offered = seat->place.prev;
  if (seat->offered)
    self->noffers--;
  seat->offered = false;
  uj_link_remove(&seat->place);
  self->ngetters--;
}

static void close_getters(struct uj_channel *self, struct bell *bell)
{
  while (!uj_link_empty(&self->getters)) {
    struct uj_seat *seat = seat_at(self->getters.next);
    remove_getter(self, seat);
    seat->state = UJ_SEAT_CLOSED;
    tell(seat, bell);
  }
}

static void tell_watchers(struct uj_channel *self, struct bell *bell)
{
  struct uj_link *all = &self->watchers;
  for (struct uj_link *link = all->next; link != all; link = link->next)
    tell(seat_at(link), bell);
}

/* Something has changed: makes the invariants hold again. */
static void settle(struct uj_channel *self, struct bell *bell)
{
  uint64_t wanted = available(self);
  if (wanted > self->ngetters)
    wanted = self->ngetters;
  while (self->noffers < wanted)
    offer_next(self, bell);
  while (self->noffers > wanted)
    withdraw_last(self);
  if (is_over(self))
    close_getters(self, bell);
  if (is_open_to_all(self))
    tell_watchers(self, bell);
}

static struct uj_seat *remove_putter(struct uj_channel *self,
                                     struct uj_seat *seat,
                                     enum uj_seat_state state)
{
  uj_link_remove(&seat->place);
  self->nputters--;
  seat->state = state;
  return seat;
}

/* The first putter has put. */
static struct uj_parcel *finish_put(struct uj_channel *self, struct bell *bell)
{
  struct uj_seat *seat =
      remove_putter(self, seat_at(self->putters.next), UJ_SEAT_DONE);
  struct uj_parcel *parcel = seat->parcel;
  seat->parcel = NULL;
  tell(seat, bell);
  return parcel;
}

static void store(struct uj_channel *self, struct uj_parcel *parcel)
{
  uj_link_append(&self->stored, &parcel->link);
  self->nstored++;
}

/* Takes the first message, and lets the next putter put. */
static struct uj_parcel *take(struct uj_channel *self, struct bell *bell)
{
  struct uj_parcel *parcel;
  if (self->nstored == 0) /* the capacity is 0 */
    return finish_put(self, bell);
  parcel = uj_container(self->stored.next, struct uj_parcel, link);
  uj_link_remove(&parcel->link);
  self->nstored--;
  if (self->nputters > 0 && self->nstored < self->capacity)
    store(self, finish_put(self, bell));
  return parcel;
}

/* ---- putting and getting ------------------------------------------------- */

static enum uj_channel_result
put(struct uj_channel *self, struct uj_parcel *parcel, struct uj_seat *seat)
{
  if (self->closed)
    return UJ_CHANNEL_CLOSED;
  if (self->nstored < self->capacity) {
    store(self, parcel);
    return UJ_CHANNEL_DONE;
  }
  if (seat != NULL) {
    seat->parcel = parcel;
    seat->state = UJ_SEAT_TAKEN;
    uj_link_append(&self->putters, &seat->place);
    self->nputters++;
  }
  return UJ_CHANNEL_WAIT;
}

enum uj_channel_result uj_channel_put(struct uj_channel *self,
                                      struct uj_parcel *parcel,
                                      struct uj_seat *seat)
{
  struct bell bell = {NULL};
  enum uj_channel_result result;
  lock(self);
  result = put(self, parcel, seat);
  settle(self, &bell);
  unlock(self, &bell);
  return result;
}

static enum uj_channel_result get(struct uj_channel *self,
                                  struct uj_parcel **parcel,
                                  struct uj_seat *seat, struct bell *bell)
{
  if (available(self) > self->noffers) {
    *parcel = take(self, bell);
    return UJ_CHANNEL_DONE;
  }
  if (is_over(self))
    return UJ_CHANNEL_CLOSED;
  if (seat != NULL) {
    seat->state = UJ_SEAT_TAKEN;
    uj_link_append(&self->getters, &seat->place);
    self->ngetters++;
  }
  return UJ_CHANNEL_WAIT;
}

enum uj_channel_result uj_channel_get(struct uj_channel *self,
                                      struct uj_parcel **parcel,
                                      struct uj_seat *seat)
{
  struct bell bell = {NULL};
  enum uj_channel_result result;
  lock(self);
  result = get(self, parcel, seat, &bell);
  settle(self, &bell);
  unlock(self, &bell);
  return result;
}

enum uj_channel_result uj_channel_accept(struct uj_channel *self,
                                         struct uj_parcel **parcel,
                                         struct uj_seat *seat)
{
  struct bell bell = {NULL};
  enum uj_channel_result result = UJ_CHANNEL_WAIT;
  lock(self);
  if (seat->state == UJ_SEAT_CLOSED)
    result = UJ_CHANNEL_CLOSED;
  else if (seat->offered) {
    remove_getter(self, seat);
    *parcel = take(self, &bell);
    settle(self, &bell);
    result = UJ_CHANNEL_DONE;
  }
  if (result != UJ_CHANNEL_WAIT)
    seat->state = UJ_SEAT_FREE;
  unlock(self, &bell);
  return result;
}

enum uj_channel_result uj_channel_ask(struct uj_channel *self,
                                      struct uj_seat *seat)
{
  enum uj_channel_result result = UJ_CHANNEL_WAIT;
  lock(self);
  if (seat->state == UJ_SEAT_DONE)
    result = UJ_CHANNEL_DONE;
  else if (seat->state == UJ_SEAT_CLOSED)
    result = UJ_CHANNEL_CLOSED;
  if (result != UJ_CHANNEL_WAIT)
    seat->state = UJ_SEAT_FREE;
  pthread_mutex_unlock(&self->lock);
  return result;
}

/* A putter that has put needs no place any more, nor one that was closed. */
static void leave(struct uj_channel *self, struct uj_seat *seat)
{
  if (seat->kind == UJ_SEAT_GETTER)
    remove_getter(self, seat);
  else if (seat->kind == UJ_SEAT_PUTTER)
    remove_putter(self, seat, UJ_SEAT_FREE);
  else
    uj_link_remove(&seat->place);
}

bool uj_channel_leave(struct uj_channel *self, struct uj_seat *seat)
{
  struct bell bell = {NULL};
  bool done;
  lock(self);
  done = seat->state == UJ_SEAT_DONE;
  if (seat->state == UJ_SEAT_TAKEN) {
    leave(self, seat);
    settle(self, &bell);
  }
  seat->state = UJ_SEAT_FREE;
  unlock(self, &bell);
  return done;
}

void uj_channel_return(struct uj_channel *self, struct uj_parcel *parcel)
{
  struct bell bell = {NULL};
  lock(self);
  uj_link_append(self->stored.next, &parcel->link); /* before the first one */
  self->nstored++;
  settle(self, &bell);
  unlock(self, &bell);
}

void uj_channel_close(struct uj_channel *self)
{
  struct bell bell = {NULL};
  lock(self);
  self->closed = true;
  while (!uj_link_empty(&self->putters))
    tell(remove_putter(self, seat_at(self->putters.next), UJ_SEAT_CLOSED),
         &bell);
  settle(self, &bell);
  unlock(self, &bell);
}

void uj_channel_watch(struct uj_channel *self, struct uj_seat *seat)
{
  lock(self);
  if (seat->state != UJ_SEAT_TAKEN)
    uj_link_append(&self->watchers, &seat->place);
  seat->state = UJ_SEAT_TAKEN;
  pthread_mutex_unlock(&self->lock);
}

/* ---- looking ------------------------------------------------------------- */

uint64_t uj_channel_capacity(const struct uj_channel *self)
{
  return self->capacity;
}

size_t uj_channel_message_limit(const struct uj_channel *self)
{
  return self->message_limit;
}

uint64_t uj_channel_id(const struct uj_channel *self)
{
  return self->id;
}

uint64_t uj_channel_count(struct uj_channel *self)
{
  uint64_t count;
  lock(self);
  count = self->nstored;
  pthread_mutex_unlock(&self->lock);
  return count;
}

bool uj_channel_closed(struct uj_channel *self)
{
  bool closed;
  lock(self);
  closed = self->closed;
  pthread_mutex_unlock(&self->lock);
  return closed;
}

static uint64_t length(const struct uj_link *list)
{
  uint64_t n = 0;
  for (const struct uj_link *link = list->next; link != list; link = link->next)
    n++;
  return n;
}

/* Whether the offers are those of the first getters. */
static bool are_first(struct uj_channel *self)
{
  struct uj_link *link = &self->getters;
  bool sound = true;
  for (uint64_t i = 0; i < self->noffers; i++) {
    link = link->next;
    sound = sound && seat_at(link)->offered;
  }
  sound = sound && self->offered == link;
  for (link = link->next; link != &self->getters; link = link->next)
    sound = sound && !seat_at(link)->offered;
  return sound;
}

static bool are_counted(const struct uj_channel *self)
{
  return length(&self->stored) == self->nstored &&
         length(&self->getters) == self->ngetters &&
         length(&self->putters) == self->nputters;
}

bool uj_channel_is_sound(struct uj_channel *self)
{
  uint64_t wanted;
  bool sound;
  lock(self);
  wanted = available(self);
  wanted = wanted < self->ngetters ? wanted : self->ngetters;
  sound = are_counted(self) && self->noffers == wanted &&
          (self->nputters == 0 || self->nstored >= self->capacity) &&
          (!self->closed || self->nputters == 0) &&
          (!is_over(self) || self->ngetters == 0) && are_first(self);
  pthread_mutex_unlock(&self->lock);
  return sound;
}
