#include "lua/channel/channel.h"

#include <string.h>

#include "lua/base/args.h"
#include "lua/base/options.h"
#include "lua/channel/handle.h"
#include "lua/channel/hear.h"
#include "lua/channel/letter.h"
#include "lua/engine/suspend.h"

/* The stack of put() and get() while they wait. */
enum { AT_SELF = 1, AT_WAITER };

#define MESSAGE_LIMIT ((size_t)64 * 1024 * 1024)

static struct uj_channel *check_self(lua_State *L, const char *name)
{
  const struct uj_lchannel *self = uj_object_self(L, uj_channel_tag, name);
  if (self->share.shared == NULL)
    luaL_error(L, "bad self to '%s' (the channel was finalized)", name);
  if (!uj_channel_is_here(uj_lchannel_core(self)))
    luaL_error(L,
               "bad self to '%s' (the channel belongs to another process, "
               "from which this one was forked)",
               name);
  return uj_lchannel_core(self);
}

static int push_failure(lua_State *L, const char *code)
{
  lua_pushnil(L);
  lua_pushstring(L, code);
  return 2;
}

static int push_true(lua_State *L)
{
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- putting ------------------------------------------------------------- */

static void check_value(lua_State *L, const struct uj_callee *callee)
{
  if (lua_isnoneornil(L, 2))
    uj_arg_error(L, callee, 2, "value expected, got nil");
}

/* Puts the message, which is freed when the channel is closed. */
static enum uj_channel_result put(struct uj_state *S, struct uj_channel *self,
                                  struct uj_parcel *parcel,
                                  struct uj_seat *seat)
{
  enum uj_channel_result result = uj_channel_put(self, parcel, seat);
  if (result == UJ_CHANNEL_CLOSED)
    uj_parcel_free(parcel);
  uj_channels_hear(S);
  return result;
}

static int put_waited(lua_State *L, int status, lua_KContext ctx);

/* Waits, unless something has happened since the seat was looked at. */
static int wait_on_to_put(struct uj_state *S, lua_State *L,
                          struct uj_chan_waiter *waiter)
{
  while (waiter->missed) {
    waiter->missed = false;
    switch (uj_channel_ask(waiter->channel, &waiter->seat)) {
    case UJ_CHANNEL_DONE:
      return push_true(L);
    case UJ_CHANNEL_CLOSED:
      return push_failure(L, "closed");
    default:
      break;
    }
  }
  return uj_suspend(L, S->current, NULL, waiter->due_ns, UJ_LOP_CHANNEL_PUT,
                    put_waited);
}

/* What has become of the put, whatever the job was woken for: other threads go
 * on until it has left its seat. */
static enum uj_channel_result finish_put(struct uj_chan_waiter *waiter,
                                         enum uj_wake wake)
{
  enum uj_channel_result result =
      uj_channel_ask(waiter->channel, &waiter->seat);
  if (result == UJ_CHANNEL_WAIT && wake != UJ_WAKE_OK &&
      uj_channel_leave(waiter->channel, &waiter->seat))
    result = UJ_CHANNEL_DONE;
  return result;
}

static int put_waited(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  struct uj_chan_waiter *waiter = lua_touserdata(L, AT_WAITER);
  enum uj_wake wake = (enum uj_wake)uj_suspend_self(S, L)->core.wake;
  enum uj_channel_result result = UJ_CHANNEL_WAIT;
  (void)status;
  (void)ctx;
  if (wake != UJ_WAKE_KILLED)
    result = finish_put(waiter, wake);
  if (result == UJ_CHANNEL_DONE)
    return push_true(L);
  if (wake != UJ_WAKE_OK)
    uj_chan_waiter_leave(S, waiter);
  uj_suspend_result(S, L);
  if (result == UJ_CHANNEL_CLOSED)
    return push_failure(L, "closed");
  if (wake == UJ_WAKE_TIMEOUT)
    return push_failure(L, "timeout");
  return wait_on_to_put(S, L, waiter);
}

/* The channel was full a moment ago. Stack: self, value. */
static int wait_to_put(struct uj_state *S, lua_State *L,
                       struct uj_channel *self, struct uj_parcel *parcel,
                       uint64_t span_ns)
{
  struct uj_chan_waiter *waiter;
  uj_letter_hold(S, parcel);
  lua_settop(L, AT_SELF);
  waiter = uj_chan_waiter_push(S, L, self, UJ_SEAT_PUTTER,
                               uj_suspend_due(S, span_ns));
  uj_letter_release(parcel);
  switch (put(S, self, parcel, &waiter->seat)) {
  case UJ_CHANNEL_DONE:
    return push_true(L);
  case UJ_CHANNEL_CLOSED:
    return push_failure(L, "closed");
  default:
    return wait_on_to_put(S, L, waiter);
  }
}

static int channel_put(lua_State *L)
{
  static const struct uj_callee callee = {"put", 1};
  struct uj_state *S = uj_state(L);
  struct uj_channel *self = check_self(L, callee.name);
  struct uj_parcel *parcel;
  uint64_t span_ns;
  struct uj_ljob *caller;
  check_value(L, &callee);
  span_ns = uj_arg_opt_seconds(L, &callee, 3, UJ_NEVER);
  caller = uj_suspend_check(S, L, callee.name);
  parcel = uj_letter_write(S, L, &callee, 2, uj_channel_message_limit(self));
  if (uj_suspend_needed(caller)) {
    uj_parcel_free(parcel);
    return uj_suspend(L, caller, NULL, UJ_NEVER, UJ_LOP_CHANNEL_PUT,
                      uj_suspend_return_nothing);
  }
  switch (put(S, self, parcel, NULL)) {
  case UJ_CHANNEL_CLOSED:
    return push_failure(L, "closed");
  case UJ_CHANNEL_DONE:
    return push_true(L);
  default:
    return wait_to_put(S, L, self, parcel, span_ns);
  }
}

static int channel_try_put(lua_State *L)
{
  static const struct uj_callee callee = {"try_put", 1};
  struct uj_state *S = uj_state(L);
  struct uj_channel *self = check_self(L, callee.name);
  struct uj_parcel *parcel;
  check_value(L, &callee);
  parcel = uj_letter_write(S, L, &callee, 2, uj_channel_message_limit(self));
  switch (put(S, self, parcel, NULL)) {
  case UJ_CHANNEL_CLOSED:
    return push_failure(L, "closed");
  case UJ_CHANNEL_DONE:
    return push_true(L);
  default:
    uj_parcel_free(parcel);
    return push_failure(L, "full");
  }
}

/* ---- getting ------------------------------------------------------------- */

/* [-0, +1, m] Gets a message and pushes its value. */
static enum uj_channel_result get(struct uj_state *S, lua_State *L,
                                  struct uj_channel *self, struct uj_seat *seat)
{
  struct uj_parcel *parcel = NULL;
  enum uj_channel_result result = uj_channel_get(self, &parcel, seat);
  uj_channels_hear(S);
  if (result == UJ_CHANNEL_DONE)
    uj_letter_read(S, L, self, parcel);
  return result;
}

/* Takes what the job was offered, if anything. */
static enum uj_channel_result accept(struct uj_state *S, lua_State *L,
                                     struct uj_chan_waiter *waiter)
{
  struct uj_parcel *parcel = NULL;
  enum uj_channel_result result =
      uj_channel_accept(waiter->channel, &parcel, &waiter->seat);
  uj_channels_hear(S);
  if (result == UJ_CHANNEL_DONE)
    uj_letter_read(S, L, waiter->channel, parcel);
  return result;
}

static int get_waited(lua_State *L, int status, lua_KContext ctx);

/* Waits, unless something has happened since the seat was looked at. */
static int wait_on_to_get(struct uj_state *S, lua_State *L,
                          struct uj_chan_waiter *waiter)
{
  while (waiter->missed) {
    waiter->missed = false;
    switch (accept(S, L, waiter)) {
    case UJ_CHANNEL_DONE:
      return 1;
    case UJ_CHANNEL_CLOSED:
      return push_failure(L, "closed");
    default:
      break;
    }
  }
  return uj_suspend(L, S->current, NULL, waiter->due_ns, UJ_LOP_CHANNEL_GET,
                    get_waited);
}

static int get_waited(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  struct uj_chan_waiter *waiter = lua_touserdata(L, AT_WAITER);
  enum uj_wake wake = (enum uj_wake)uj_suspend_self(S, L)->core.wake;
  (void)status;
  (void)ctx;
  if (wake != UJ_WAKE_OK && wake != UJ_WAKE_TIMEOUT)
    uj_chan_waiter_leave(S, waiter);
  uj_suspend_result(S, L);
  switch (accept(S, L, waiter)) {
  case UJ_CHANNEL_DONE:
    return 1;
  case UJ_CHANNEL_CLOSED:
    return push_failure(L, "closed");
  default:
    return wake == UJ_WAKE_TIMEOUT ? push_failure(L, "timeout")
                                   : wait_on_to_get(S, L, waiter);
  }
}

/* The channel was empty a moment ago. Stack: self. */
static int wait_to_get(struct uj_state *S, lua_State *L,
                       struct uj_channel *self, uint64_t span_ns)
{
  struct uj_chan_waiter *waiter = uj_chan_waiter_push(
      S, L, self, UJ_SEAT_GETTER, uj_suspend_due(S, span_ns));
  switch (get(S, L, self, &waiter->seat)) {
  case UJ_CHANNEL_DONE:
    return 1;
  case UJ_CHANNEL_CLOSED:
    return push_failure(L, "closed");
  default:
    return wait_on_to_get(S, L, waiter);
  }
}

/* Stack: self, and anything. */
static int get_until(struct uj_state *S, lua_State *L, struct uj_channel *self,
                     struct uj_ljob *caller, uint64_t span_ns)
{
  lua_settop(L, AT_SELF);
  if (uj_suspend_needed(caller))
    return uj_suspend(L, caller, NULL, UJ_NEVER, UJ_LOP_CHANNEL_GET,
                      uj_suspend_return_nothing);
  switch (get(S, L, self, NULL)) {
  case UJ_CHANNEL_CLOSED:
    return push_failure(L, "closed");
  case UJ_CHANNEL_DONE:
    return 1;
  default:
    return wait_to_get(S, L, self, span_ns);
  }
}

static int channel_get(lua_State *L)
{
  static const struct uj_callee callee = {"get", 1};
  struct uj_state *S = uj_state(L);
  struct uj_channel *self = check_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  return get_until(S, L, self, uj_suspend_check(S, L, callee.name), span_ns);
}

static int channel_try_get(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_channel *self = check_self(L, "try_get");
  switch (get(S, L, self, NULL)) {
  case UJ_CHANNEL_CLOSED:
    return push_failure(L, "closed");
  case UJ_CHANNEL_DONE:
    return 1;
  default:
    return push_failure(L, "empty");
  }
}

/* The iterator of items(); upvalue 2 is the channel. When the channel is closed
 * and empty the failure of get() is nil, which ends the loop. */
static int next_item(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_channel *self;
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  self = check_self(L, "items");
  return get_until(S, L, self, uj_suspend_check(S, L, "items"), UJ_NEVER);
}

static int channel_items(lua_State *L)
{
  check_self(L, "items");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_item, 2);
  return 1;
}

/* ---- the rest ------------------------------------------------------------ */

static int channel_close(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  uj_channel_close(check_self(L, "close"));
  uj_channels_hear(S);
  return 0;
}

static int channel_len(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)uj_channel_count(check_self(L, "len")));
  return 1;
}

static int channel_tostring(lua_State *L)
{
  const struct uj_lchannel *self =
      uj_object_self(L, uj_channel_tag, "tostring");
  struct uj_channel *core = uj_lchannel_core(self);
  uint64_t count;
  if (self->share.shared == NULL || !uj_channel_is_here(core)) {
    lua_pushliteral(L, UJ_CHANNEL_TYPE ": of another process");
    return 1;
  }
  count = uj_channel_count(core);
  lua_pushfstring(L, UJ_CHANNEL_TYPE " %I: %I %s%s",
                  (LUAI_UACINT)uj_channel_id(core), (LUAI_UACINT)count,
                  count == 1 ? "message" : "messages",
                  uj_channel_closed(core) ? ", closed" : "");
  return 1;
}

static void push_size(lua_State *L, size_t size)
{
  uj_arg_push_count(L, size == SIZE_MAX ? UINT64_MAX : size);
}

static bool push_property(lua_State *L, const void *object, const char *key)
{
  struct uj_channel *self;
  (void)object;
  if (strcmp(key, "capacity") != 0 && strcmp(key, "closed") != 0 &&
      strcmp(key, "id") != 0 && strcmp(key, "message_limit") != 0)
    return false;
  self = check_self(L, key);
  if (*key == 'i')
    lua_pushinteger(L, (lua_Integer)uj_channel_id(self));
  else if (*key == 'm')
    push_size(L, uj_channel_message_limit(self));
  else if (strcmp(key, "capacity") == 0)
    uj_arg_push_count(L, uj_channel_capacity(self));
  else
    lua_pushboolean(L, uj_channel_closed(self));
  return true;
}

bool uj_lchannel_watch(struct uj_state *S, lua_State *L, int idx)
{
  struct uj_lchannel *self = uj_object_to(L, idx, uj_channel_tag);
  if (self == NULL)
    return false;
  if (self->share.shared != NULL && uj_channel_is_here(uj_lchannel_core(self)))
    uj_channels_watch(S, L, self);
  return true;
}

static void take_message_limit(lua_State *L,
                               const struct uj_options_table *options,
                               void *into)
{
  size_t *limit = into;
  uint64_t count = uj_option_count(L, options, 1);
  *limit = count > SIZE_MAX ? SIZE_MAX : (size_t)count;
}

static int l_channel(lua_State *L)
{
  static const struct uj_callee callee = {"channel", 0};
  static const struct uj_option known[] = {
      {"message_limit", take_message_limit}, {NULL, NULL}};
  uint64_t capacity = UINT64_MAX;
  size_t limit = MESSAGE_LIMIT;
  struct uj_channel *self;
  uj_state(L);
  if (!lua_isnoneornil(L, 1))
    capacity = uj_arg_count(L, &callee, 1, 0);
  if (!lua_isnoneornil(L, 2) && !lua_istable(L, 2))
    uj_arg_typeerror(L, &callee, 2, "table");
  if (lua_istable(L, 2))
    uj_options_read(L, &callee, 2, known, &limit);
  self = uj_channel_new(capacity, limit);
  if (self == NULL)
    return luaL_error(L, "not enough memory");
  uj_handle_push_channel(L, self);
  return 1;
}

void uj_lchannel_register(lua_State *L)
{
  static const char *const properties[] = {"capacity", "closed", "id",
                                           "message_limit", NULL};
  static const luaL_Reg methods[] = {{"put", channel_put},
                                     {"get", channel_get},
                                     {"try_put", channel_try_put},
                                     {"try_get", channel_try_get},
                                     {"close", channel_close},
                                     {"items", channel_items},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__len", channel_len},
                                  {"__tostring", channel_tostring},
                                  {"__gc", uj_handle_gc},
                                  {NULL, NULL}};
  static const struct uj_type type = {.tag = uj_channel_tag,
                                      .methods = methods,
                                      .meta = meta,
                                      .property = push_property,
                                      .properties = properties,
                                      .counts_lookups = true};
  uj_object_register(L, &type);
}

const luaL_Reg uj_lchannel_functions[] = {{"channel", l_channel}, {NULL, NULL}};
