/* A queue of messages between threads, in plain C: it knows neither Lua nor
 * jobs, and all it does it does under a lock of its own, in a few steps that
 * neither wait nor allocate nor free.
 *
 * Who has to wait takes a seat in one of two lines, in order of arrival over
 * all threads:
 *   - A putter has its message in its seat. Whoever makes room moves the
 *     message into the channel; from that moment the put has happened, although
 *     its thread hears of it only later.
 *   - A getter is never given a message, but an offer of one: the message stays
 *     in the channel until the getter accepts, in its own thread. A getter that
 *     leaves passes its offer on, so it takes nothing with it.
 *
 * A message is available when it is stored, or in the seat of a putter.
 * Invariants, whenever the lock is free:
 *   - the getters that have an offer are the first of their line, and there are
 *     as many of them as there are messages available, or all: so nobody is
 *     overtaken, and nobody waits for what is there;
 *   - putters wait only while as many messages are stored as there is room for;
 *   - a closed channel has no putters, and no getters if no message is
 *     available. */
#ifndef UJ_CHANNEL_CHANNEL_H
#define UJ_CHANNEL_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel/parcel.h"
#include "channel/shared.h"
#include "core/link.h"

struct uj_channel;
struct uj_inbox;

enum uj_seat_kind {
  UJ_SEAT_GETTER,
  UJ_SEAT_PUTTER,
  UJ_SEAT_WATCHER /* stands in no line: hears when a message is there for one
                     who does not wait, or when nothing will come any more */
};

enum uj_seat_state {
  UJ_SEAT_FREE,
  UJ_SEAT_TAKEN,
  UJ_SEAT_DONE,  /* of a putter: its message is in the channel */
  UJ_SEAT_CLOSED /* the channel was closed, and nothing is left to be got */
};

/* The caller's memory, which belongs to one thread. But for the kind and the
 * inbox, the locks of the channel and of the inbox guard it. */
struct uj_seat {
  struct uj_link place;     /* in a line of the channel */
  struct uj_link news;      /* in the inbox, when something has happened */
  struct uj_inbox *inbox;   /* borrowed: where its thread hears */
  struct uj_parcel *parcel; /* of a putter that waits */
  enum uj_seat_kind kind;
  enum uj_seat_state state;
  bool offered; /* of a getter: a message is kept for it */
};

void uj_seat_init(struct uj_seat *seat, enum uj_seat_kind kind,
                  struct uj_inbox *inbox);

enum uj_channel_result {
  UJ_CHANNEL_DONE,
  UJ_CHANNEL_WAIT, /* it is full, or empty; with a seat: that is taken */
  UJ_CHANNEL_CLOSED
};

/* Returns NULL without memory. The caller has the first reference, and drops it
 * by uj_shared_drop(). */
struct uj_channel *uj_channel_new(uint64_t capacity, size_t message_limit);
struct uj_shared *uj_channel_shared(struct uj_channel *self);
struct uj_channel *uj_channel_of(struct uj_shared *shared);
bool uj_channel_is(const struct uj_shared *shared);

/* A reference by which the channel can be used: while there is one, nothing of
 * what it has is garbage. */
void uj_channel_hold(struct uj_channel *self);
void uj_channel_let_go(struct uj_channel *self);

/* Whether the process was not forked since the channel was made. In the child
 * of a fork nothing may be done with it but to count references. */
bool uj_channel_is_here(const struct uj_channel *self);

/* DONE: the message is the channel's. WAIT with a seat: it is in the seat.
 * Otherwise it stays the caller's. */
enum uj_channel_result uj_channel_put(struct uj_channel *self,
                                      struct uj_parcel *parcel,
                                      struct uj_seat *seat);
/* DONE: the message is the caller's. */
enum uj_channel_result uj_channel_get(struct uj_channel *self,
                                      struct uj_parcel **parcel,
                                      struct uj_seat *seat);
/* What has come of a seat of a getter, or of a putter. WAIT: it waits on.
 * Otherwise the seat is free. */
enum uj_channel_result uj_channel_accept(struct uj_channel *self,
                                         struct uj_parcel **parcel,
                                         struct uj_seat *seat);
enum uj_channel_result uj_channel_ask(struct uj_channel *self,
                                      struct uj_seat *seat);
/* Frees the seat, whatever its state is. Returns whether a put has happened; if
 * not, its message is left in the seat, for the caller. */
bool uj_channel_leave(struct uj_channel *self, struct uj_seat *seat);
/* Puts a message back to the front that was got but could not be used. It is
 * there even when the channel is full or closed. */
void uj_channel_return(struct uj_channel *self, struct uj_parcel *parcel);

void uj_channel_close(struct uj_channel *self);

/* Takes a seat of a watcher, which may have one already. Nobody is told of what
 * is there by then: so the caller looks after this. */
void uj_channel_watch(struct uj_channel *self, struct uj_seat *seat);

uint64_t uj_channel_capacity(const struct uj_channel *self);
size_t uj_channel_message_limit(const struct uj_channel *self);
/* A number that no other channel of the process has. */
uint64_t uj_channel_id(const struct uj_channel *self);
uint64_t uj_channel_count(struct uj_channel *self);
bool uj_channel_closed(struct uj_channel *self);

/* Whether the invariants hold, for tests. */
bool uj_channel_is_sound(struct uj_channel *self);

#endif
