/* What the tests of src/channel/ share: messages that are numbers, and inboxes
 * that count how often their thread was woken. */
#ifndef SPEC_CHANNEL_SEATS_H
#define SPEC_CHANNEL_SEATS_H

#include "check.h"

#include "channel/channel.h"
#include "channel/inbox.h"

static inline struct uj_parcel *new_message(int number)
{
  struct uj_parcel *parcel =
      uj_parcel_new((const char *)&number, sizeof(number), UJ_CARRIES_NONE);
  if (parcel == NULL)
    abort();
  return parcel;
}

static inline int read_message(struct uj_parcel *parcel)
{
  int number;
  memcpy(&number, parcel->data, sizeof(number));
  uj_parcel_free(parcel);
  return number;
}

static inline struct uj_channel *new_channel(uint64_t capacity)
{
  struct uj_channel *channel = uj_channel_new(capacity, SIZE_MAX);
  if (channel == NULL)
    abort();
  return channel;
}

static inline void drop_channel(struct uj_channel *channel)
{
  uj_shared_drop(uj_channel_shared(channel));
}

static inline struct uj_inbox *new_inbox(void)
{
  struct uj_inbox *inbox = uj_inbox_new();
  if (inbox == NULL)
    abort();
  return inbox;
}

/* Whether the seat was posted; it is not there any more then. */
static inline bool take_news(struct uj_inbox *inbox, struct uj_seat *seat)
{
  bool found = !uj_link_empty(&seat->news);
  uj_inbox_forget(inbox, &seat->news);
  return found;
}

/* Puts or gets without waiting. */
static inline enum uj_channel_result put_number(struct uj_channel *channel,
                                                int number)
{
  struct uj_parcel *parcel = new_message(number);
  enum uj_channel_result result = uj_channel_put(channel, parcel, NULL);
  if (result != UJ_CHANNEL_DONE)
    uj_parcel_free(parcel);
  return result;
}

/* The number, or -1 when there is none and -2 when the channel is over. */
static inline int get_number(struct uj_channel *channel)
{
  struct uj_parcel *parcel;
  switch (uj_channel_get(channel, &parcel, NULL)) {
  case UJ_CHANNEL_DONE:
    return read_message(parcel);
  case UJ_CHANNEL_WAIT:
    return -1;
  default:
    return -2;
  }
}

static inline int accept_number(struct uj_channel *channel,
                                struct uj_seat *seat)
{
  struct uj_parcel *parcel;
  switch (uj_channel_accept(channel, &parcel, seat)) {
  case UJ_CHANNEL_DONE:
    return read_message(parcel);
  case UJ_CHANNEL_WAIT:
    return -1;
  default:
    return -2;
  }
}

#endif
