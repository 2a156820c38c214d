#include "lua/api/event.h"

#include <lauxlib.h>

#include "core/event.h"
#include "lua/base/args.h"
#include "lua/base/object.h"
#include "lua/engine/suspend.h"
#include "lua/engine/watchers.h"

#define EVENT_TYPE "uvjobs.Event"

struct levent {
  struct uj_object object;
  struct uj_event core;
  bool is_watched; /* it may be: see engine/watchers.h */
};

static const char event_tag[] = EVENT_TYPE;

bool uj_levent_watch(lua_State *L, int idx)
{
  struct levent *event = uj_object_to(L, idx, event_tag);
  if (event != NULL)
    event->is_watched = true;
  return event != NULL;
}

static struct uj_event *check_self(lua_State *L, const char *name)
{
  struct levent *event = uj_object_self(L, event_tag, name);
  return &event->core;
}

static int l_event(lua_State *L)
{
  struct levent *event;
  uj_state(L);
  event = lua_newuserdatauv(L, sizeof(*event), 0);
  event->object.tag = event_tag;
  event->is_watched = false;
  uj_event_init(&event->core);
  luaL_setmetatable(L, EVENT_TYPE);
  return 1;
}

/* A job that waits for the event has it on its stack, so it is not collected
 * then; unless somebody else has closed the coroutine of that job. */
static int event_gc(lua_State *L)
{
  struct levent *event = uj_object_to(L, 1, event_tag);
  if (event != NULL)
    uj_waitq_close(&event->core.waiters);
  return 0;
}

static int event_set(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct levent *event = uj_object_self(L, event_tag, "set");
  uj_event_set(&event->core);
  if (event->is_watched)
    event->is_watched = uj_watchers_wake(S, event, true);
  return 0;
}

static int event_clear(lua_State *L)
{
  uj_event_clear(check_self(L, "clear"));
  return 0;
}

static int event_is_set(lua_State *L)
{
  lua_pushboolean(L, check_self(L, "is_set")->is_set);
  return 1;
}

static int event_wait(lua_State *L)
{
  static const struct uj_callee callee = {"wait", 1};
  struct uj_state *S = uj_state(L);
  struct uj_event *event = check_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  struct uj_ljob *caller = uj_suspend_check(S, L, callee.name);
  if (event->is_set && !uj_suspend_needed(caller)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  return uj_suspend(L, caller, &event->waiters, uj_suspend_due(S, span_ns),
                    UJ_LOP_EVENT, uj_suspend_return_true);
}

/* (event, due) */
static int l_wait_until(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_event *event = check_self(L, "wait");
  uint64_t due_ns = (uint64_t)luaL_checkinteger(L, 2);
  struct uj_ljob *caller = uj_suspend_check(S, L, "wait");
  return uj_suspend(L, caller, &event->waiters, due_ns, UJ_LOP_EVENT,
                    uj_suspend_return_true);
}

static int event_tostring(lua_State *L)
{
  const struct uj_event *event = check_self(L, "tostring");
  lua_pushfstring(L, EVENT_TYPE ": %s", event->is_set ? "set" : "clear");
  return 1;
}

void uj_levent_register(lua_State *L)
{
  static const luaL_Reg methods[] = {{"set", event_set},
                                     {"clear", event_clear},
                                     {"is_set", event_is_set},
                                     {"wait", event_wait},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__tostring", event_tostring}, {"__gc", event_gc}, {NULL, NULL}};
  static const struct uj_type type = {
      .tag = event_tag, .methods = methods, .meta = meta};
  uj_object_register(L, &type);
}

const luaL_Reg uj_levent_internals[] = {{"wait_until", l_wait_until},
                                        {NULL, NULL}};

const luaL_Reg uj_levent_functions[] = {{"event", l_event}, {NULL, NULL}};
