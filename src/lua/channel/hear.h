/* What the jobs of one Lua state hear of channels: who of them waits, and who
 * has to be woken because something has happened, in this thread or in another.
 */
#ifndef UJ_LUA_CHANNEL_HEAR_H
#define UJ_LUA_CHANNEL_HEAR_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel/channel.h"
#include "channel/inbox.h"
#include "lua/base/copy.h"
#include "lua/base/share.h"
#include "lua/state/job.h"
#include "lua/state/state.h"

/* Part of the state. */
struct uj_channels {
  struct uj_inbox *inbox;  /* made with the first wait; or NULL */
  struct uj_link waiters;  /* of uj_chan_waiter::all: the jobs that wait */
  struct uj_link watching; /* of uj_channel_watch::all */
  struct uj_link unsent;   /* of uj_parcel::link: see uj_letter_hold() */
  uint32_t nhandles;       /* channels that this Lua state has */
  struct uj_buffer spare;  /* memory for packing that is not in use */
};

/* How a Lua state watches a channel. It is memory of its own, which outlasts
 * the userdata of the channel when Lua frees that without having called its
 * __gc: see base/record.h. */
struct uj_channel_watch {
  struct uj_seat seat;        /* taken while somebody here watches, or has */
  struct uj_link all;         /* in uj_channels::watching */
  struct uj_channel *channel; /* the reference of the userdata keeps it */
  const void *source;         /* the userdata, which may be gone */
};

/* The userdata `uvjobs.Channel`. */
struct uj_lchannel {
  struct uj_share share;          /* first */
  struct uj_channel_watch *watch; /* since the first watch; or NULL */
};

static inline struct uj_channel *
uj_lchannel_core(const struct uj_lchannel *channel)
{
  return uj_channel_of(channel->share.shared);
}

/* A job that waits in put() or get(): a to-be-closed userdata on its stack. */
struct uj_chan_waiter {
  struct uj_seat seat;
  struct uj_link all; /* in uj_channels::waiters while it has a job */
  struct uj_ljob *job;
  struct uj_channel *channel; /* borrowed: its userdata is on the same stack */
  uint64_t due_ns;
  bool missed; /* something has happened while the job was not parked yet */
};

void uj_channels_init(struct uj_state *S);
/* The Lua state ends: nobody waits any more. */
void uj_channels_end(struct uj_state *S);

/* [-0, +1, m] Pushes a waiter, which is to be closed, for the running job. Its
 * seat is not taken yet. */
struct uj_chan_waiter *uj_chan_waiter_push(struct uj_state *S, lua_State *L,
                                           struct uj_channel *channel,
                                           enum uj_seat_kind kind,
                                           uint64_t due_ns);

/* Its job goes on, or is gone: leaves the seat. Before an error is raised this
 * is not left to the variable: in a coroutine that fails, none is closed. */
void uj_chan_waiter_leave(struct uj_state *S, struct uj_chan_waiter *self);

/* [-0, +0, m] Somebody here watches the channel from now on. */
void uj_channels_watch(struct uj_state *S, lua_State *L,
                       struct uj_lchannel *channel);
/* [-0, +0, -] The userdata is about to go. */
void uj_channels_unwatch(lua_State *L, struct uj_lchannel *channel);

/* Wakes the jobs to whose seats something has happened. */
void uj_channels_hear(struct uj_state *S);
/* Whether there is news that nobody has heard. */
bool uj_channels_have_news(const struct uj_state *S);

/* The loop is about to wait: from now on news of other threads ends that.
 * Returns false when there is some already. */
bool uj_channels_sleep(struct uj_state *S);
void uj_channels_wake_up(struct uj_state *S);

/* Whether a job waits for a channel that somebody else has, too: another Lua
 * state, or a message. */
bool uj_channels_are_reachable(const struct uj_state *S);

/* [-0, +0, m] Registers the metatable of waiters. */
void uj_channels_register(lua_State *L);

#endif
