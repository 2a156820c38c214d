#include "lua/channel/hear.h"

#include <lauxlib.h>

#include "loop/driver.h"
#include "lua/engine/watchers.h"

#define WAITER_TYPE "uvjobs.Waiter"

void uj_channels_init(struct uj_state *S)
{
  uj_link_init(&S->channels->waiters);
  uj_link_init(&S->channels->watching);
  uj_link_init(&S->channels->unsent);
}

/* ---- the inbox ----------------------------------------------------------- */

/* The inbox, unless there is none, or only that of the process from which this
 * one was forked. */
static struct uj_inbox *inbox_of(const struct uj_state *S)
{
  struct uj_inbox *inbox = S->channels->inbox;
  return inbox != NULL && uj_inbox_is_here(inbox) ? inbox : NULL;
}

/* In the child of a fork the inbox of the parent is given up: its lock may be
 * taken for ever. */
static struct uj_inbox *need_inbox(struct uj_state *S, lua_State *L)
{
  struct uj_inbox *inbox = inbox_of(S);
  if (inbox != NULL)
    return inbox;
  inbox = uj_inbox_new();
  if (inbox == NULL)
    luaL_error(L, "not enough memory");
  if (S->channels->inbox != NULL)
    uj_inbox_end(S->channels->inbox);
  S->channels->inbox = inbox;
  return inbox;
}

bool uj_channels_have_news(const struct uj_state *S)
{
  const struct uj_inbox *inbox = inbox_of(S);
  return inbox != NULL && uj_inbox_has_news(inbox);
}

static void wake(void *driver)
{
  uj_driver_wake(driver);
}

bool uj_channels_sleep(struct uj_state *S)
{
  struct uj_inbox *inbox = inbox_of(S);
  if (inbox == NULL)
    return true;
  return uj_inbox_fall_asleep(inbox, wake, S->driver);
}

void uj_channels_wake_up(struct uj_state *S)
{
  struct uj_inbox *inbox = inbox_of(S);
  if (inbox != NULL)
    uj_inbox_wake_up(inbox);
}

/* ---- hearing ------------------------------------------------------------- */

static struct uj_chan_waiter *waiter_of(struct uj_seat *seat)
{
  return uj_container(seat, struct uj_chan_waiter, seat);
}

/* The job may have been woken already, because it is cancelled, say: then it
 * looks by itself. Or it has taken its seat and is about to wait. */
static void wake_waiter(struct uj_chan_waiter *waiter)
{
  if (waiter->job == NULL)
    return;
  if (waiter->job->core.place == UJ_AT_WAIT)
    uj_job_wake(&waiter->job->core, UJ_WAKE_OK);
  else
    waiter->missed = true;
}

static void leave_watch(struct uj_channel_watch *self)
{
  if (self->seat.inbox == NULL || !uj_channel_is_here(self->channel))
    return;
  (void)uj_channel_leave(self->channel, &self->seat);
  uj_inbox_forget(self->seat.inbox, &self->seat.news);
}

static void wake_watchers(struct uj_state *S, struct uj_seat *seat)
{
  struct uj_channel_watch *watch =
      uj_container(seat, struct uj_channel_watch, seat);
  if (!uj_watchers_wake(S, watch->source, false))
    leave_watch(watch);
}

void uj_channels_hear(struct uj_state *S)
{
  struct uj_inbox *inbox = inbox_of(S);
  struct uj_link *news;
  if (inbox == NULL)
    return;
  while ((news = uj_inbox_take(inbox)) != NULL) {
    struct uj_seat *seat = uj_container(news, struct uj_seat, news);
    if (seat->kind == UJ_SEAT_WATCHER)
      wake_watchers(S, seat);
    else
      wake_waiter(waiter_of(seat));
  }
}

/* ---- waiting ------------------------------------------------------------- */

void uj_chan_waiter_leave(struct uj_state *S, struct uj_chan_waiter *self)
{
  if (self->job == NULL)
    return;
  self->job = NULL;
  uj_link_remove(&self->all);
  if (!uj_channel_is_here(self->channel))
    return;
  (void)uj_channel_leave(self->channel, &self->seat);
  uj_inbox_forget(self->seat.inbox, &self->seat.news);
  uj_parcel_free(self->seat.parcel);
  self->seat.parcel = NULL;
  uj_channels_hear(S);
}

/* (waiter, error): its __close, and its __gc. */
static int waiter_close(lua_State *L)
{
  uj_chan_waiter_leave(uj_state_registered(L), lua_touserdata(L, 1));
  return 0;
}

struct uj_chan_waiter *uj_chan_waiter_push(struct uj_state *S, lua_State *L,
                                           struct uj_channel *channel,
                                           enum uj_seat_kind kind,
                                           uint64_t due_ns)
{
  struct uj_inbox *inbox = need_inbox(S, L);
  struct uj_chan_waiter *self = lua_newuserdatauv(L, sizeof(*self), 0);
  uj_seat_init(&self->seat, kind, inbox);
  self->channel = channel;
  self->due_ns = due_ns;
  self->missed = false;
  self->job = NULL;
  uj_link_init(&self->all);
  luaL_setmetatable(L, WAITER_TYPE);
  lua_toclose(L, -1);
  self->job = S->current;
  uj_link_append(&S->channels->waiters, &self->all);
  return self;
}

/* Another reference than that of the userdata here is one by which somebody can
 * put or get. */
bool uj_channels_are_reachable(const struct uj_state *S)
{
  const struct uj_link *all = &S->channels->waiters;
  for (struct uj_link *link = all->next; link != all; link = link->next) {
    struct uj_chan_waiter *self =
        uj_container(link, struct uj_chan_waiter, all);
    if (uj_channel_is_here(self->channel) &&
        uj_shared_is_shared(uj_channel_shared(self->channel)))
      return true;
  }
  return false;
}

/* ---- watching ------------------------------------------------------------ */

/* Where the registry has a table: of each watch its userdata, by its address.
 */
static const char watches_key;

/* [-0, +0, m] */
static struct uj_channel_watch *make_watch(struct uj_state *S, lua_State *L,
                                           struct uj_lchannel *channel)
{
  struct uj_inbox *inbox = need_inbox(S, L);
  struct uj_channel_watch *self;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &watches_key);
  self = lua_newuserdatauv(L, sizeof(*self), 0);
  lua_rawsetp(L, -2, self);
  lua_pop(L, 1);
  uj_seat_init(&self->seat, UJ_SEAT_WATCHER, inbox);
  self->channel = uj_lchannel_core(channel);
  self->source = channel;
  uj_link_init(&self->all);
  uj_link_append(&S->channels->watching, &self->all);
  return self;
}

void uj_channels_watch(struct uj_state *S, lua_State *L,
                       struct uj_lchannel *channel)
{
  if (channel->watch == NULL)
    channel->watch = make_watch(S, L, channel);
  uj_channel_watch(channel->watch->channel, &channel->watch->seat);
}

void uj_channels_unwatch(lua_State *L, struct uj_lchannel *channel)
{
  struct uj_channel_watch *watch = channel->watch;
  if (watch == NULL)
    return;
  channel->watch = NULL;
  uj_link_remove(&watch->all);
  leave_watch(watch);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &watches_key);
  lua_pushnil(L);
  lua_rawsetp(L, -2, watch);
  lua_pop(L, 1);
}

/* ---- the end ------------------------------------------------------------- */

static void free_unsent(struct uj_link *unsent)
{
  while (!uj_link_empty(unsent)) {
    struct uj_parcel *parcel =
        uj_container(unsent->next, struct uj_parcel, link);
    uj_link_remove(&parcel->link);
    uj_parcel_free(parcel);
  }
}

void uj_channels_end(struct uj_state *S)
{
  struct uj_channels *self = S->channels;
  while (!uj_link_empty(&self->waiters))
    uj_chan_waiter_leave(
        S, uj_container(self->waiters.next, struct uj_chan_waiter, all));
  while (!uj_link_empty(&self->watching)) {
    struct uj_channel_watch *watch =
        uj_container(self->watching.next, struct uj_channel_watch, all);
    uj_link_remove(&watch->all);
    leave_watch(watch);
    watch->seat.inbox = NULL;
  }
  free_unsent(&self->unsent);
  uj_buffer_free(&self->spare);
  if (self->inbox != NULL)
    uj_inbox_end(self->inbox);
  self->inbox = NULL;
}

void uj_channels_register(lua_State *L)
{
  static const luaL_Reg meta[] = {
      {"__close", waiter_close}, {"__gc", waiter_close}, {NULL, NULL}};
  luaL_newmetatable(L, WAITER_TYPE);
  luaL_setfuncs(L, meta, 0);
  lua_pop(L, 1);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &watches_key);
}
