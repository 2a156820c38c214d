/* The record of a channel, for channel.c, which says what it means, and for
 * cycle.c. */
#ifndef UJ_CHANNEL_RECORD_H
#define UJ_CHANNEL_RECORD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel/shared.h"
#include "core/link.h"

struct uj_channel {
  struct uj_shared shared; /* first */
  uint64_t id;
  uint64_t capacity;
  size_t message_limit;
  atomic_size_t nhandles;         /* of `refs`, those by which it can be used */
  struct uj_channel *lost_before; /* in the child of a fork */
  unsigned nforks;                /* when it was made */
  pthread_mutex_t lock;           /* of all that follows */
  struct uj_link stored;          /* of uj_parcel::link */
  struct uj_link getters; /* of uj_seat::place, and so are the next two */
  struct uj_link putters;
  struct uj_link watchers;
  struct uj_link *offered; /* the last getter with an offer, or the head */
  uint64_t nstored;
  uint64_t ngetters;
  uint64_t nputters;
  uint64_t noffers;
  bool closed;

  /* For cycle.c, under its lock. */
  struct uj_link suspect; /* in the list of those that may be garbage */
  size_t ninner;          /* references that stand in messages of these */
  bool lives;             /* it is none: somebody else refers to it */
};

static inline bool uj_record_is(const struct uj_shared *shared)
{
  return shared->kind->is_channel;
}

static inline struct uj_channel *uj_record_of(struct uj_shared *shared)
{
  return (struct uj_channel *)shared; /* its first member */
}

#endif
