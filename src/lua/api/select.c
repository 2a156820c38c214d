#include "lua/api/select.h"

#include "lua/api/event.h"
#include "lua/api/queue.h"
#include "lua/base/args.h"
#include "lua/base/object.h"
#include "lua/channel/channel.h"
#include "lua/engine/suspend.h"
#include "lua/engine/watchers.h"
#include "lua/state/job.h"

#define WATCH_TYPE "uvjobs.Watch"

struct watch {
  struct uj_object object;
  uint64_t due_ns;
  struct uj_watcher watcher;
  struct uj_spot spots[]; /* one for each source */
};

enum { UV_SOURCES = 1 }; /* the user value: the list of the sources */

static const char watch_tag[] = WATCH_TYPE;

/* [-0, +0, m] Adds the source on the top to the watch. */
static void add(struct uj_state *S, lua_State *L, struct watch *watch)
{
  struct uj_watcher *watcher = &watch->watcher;
  struct uj_spot *spot = &watcher->spots[watcher->nspots];
  spot->watcher = watcher;
  uj_watchers_add(S, L, spot, lua_touserdata(L, -1));
  watcher->nspots++;
  if (!uj_lqueue_watch(L, -1) && !uj_levent_watch(L, -1) &&
      !uj_lchannel_watch(S, L, -1) && uj_ljob_to(L, -1) == NULL)
    luaL_error(L, "queue, channel, event or job expected");
}

/* [-0, +1, m] Pushes a watch of the list at index 1, still of no source. */
static struct watch *push_new(lua_State *L, size_t n)
{
  struct watch *watch =
      lua_newuserdatauv(L, sizeof(*watch) + n * sizeof(watch->spots[0]), 1);
  watch->object.tag = watch_tag;
  uj_waitq_init(&watch->watcher.waiters);
  watch->watcher.set = NULL;
  watch->watcher.signalled = false;
  watch->watcher.nspots = 0;
  watch->watcher.spots = watch->spots;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, UV_SOURCES);
  luaL_setmetatable(L, WATCH_TYPE);
  return watch;
}

static int l_watch(lua_State *L)
{
  static const struct uj_callee callee = {"watch", 0};
  struct uj_state *S = uj_state(L);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  size_t n = lua_rawlen(L, 1);
  struct watch *watch;
  luaL_checktype(L, 1, LUA_TTABLE);
  watch = push_new(L, n);
  watch->due_ns = uj_suspend_due(S, span_ns);
  for (size_t i = 1; i <= n; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i);
    add(S, L, watch);
    lua_pop(L, 1);
  }
  return 1;
}

/* A watch whose job's coroutine was closed by somebody else can still be in its
 * list of waiters. */
static int watch_close(lua_State *L)
{
  struct watch *watch = uj_object_to(L, 1, watch_tag);
  struct uj_state *S = uj_state_registered(L);
  if (watch == NULL || S->dead)
    return 0;
  uj_watchers_remove(S, &watch->watcher);
  uj_waitq_close(&watch->watcher.waiters);
  return 0;
}

/* Returns the index of an event that was set meanwhile, or 0 when something has
 * come to another source; nothing when the time is over. */
static int watch_waited(lua_State *L, int status, lua_KContext ctx)
{
  struct watch *watch = lua_touserdata(L, 1);
  struct uj_watcher *watcher = &watch->watcher;
  enum uj_wake wake = uj_suspend_result(uj_state(L), L);
  const struct uj_spot *set = watcher->set;
  bool signalled = watcher->signalled;
  (void)status;
  (void)ctx;
  watcher->set = NULL;
  watcher->signalled = false;
  if (wake != UJ_WAKE_OK || !signalled)
    return 0;
  lua_pushinteger(L, set != NULL ? (lua_Integer)(set - watch->spots) + 1 : 0);
  return 1;
}

static int watch_wait(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct watch *watch = uj_object_self(L, watch_tag, "select");
  struct uj_ljob *caller = uj_suspend_check(S, L, "select");
  return uj_suspend(L, caller, &watch->watcher.waiters, watch->due_ns,
                    UJ_LOP_SELECT, watch_waited);
}

bool uj_select_push_sources(lua_State *L, int idx)
{
  if (uj_object_to(L, idx, watch_tag) == NULL)
    return false;
  lua_getiuservalue(L, idx, UV_SOURCES);
  return true;
}

void uj_select_register(lua_State *L)
{
  static const luaL_Reg methods[] = {{"wait", watch_wait}, {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__close", watch_close}, {"__gc", watch_close}, {NULL, NULL}};
  static const struct uj_type type = {
      .tag = watch_tag, .methods = methods, .meta = meta};
  uj_object_register(L, &type);
}

const luaL_Reg uj_select_internals[] = {{"watch", l_watch}, {NULL, NULL}};
