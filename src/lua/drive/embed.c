#include "lua/drive/embed.h"

#include <lauxlib.h>

#include "core/admit.h"
#include "core/sched.h"
#include "loop/driver.h"
#include "lua/api/spawn.h"
#include "lua/api/work.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/luv.h"
#include "lua/drive/options.h"
#include "lua/drive/run.h"
#include "lua/drive/turn.h"
#include "lua/engine/interrupt.h"
#include "lua/state/job.h"

#define NS_PER_S 1e9

/* ---- what the host sees ------------------------------------------------- */

bool uj_embed_attached(const struct uj_state *S)
{
  return !uj_hub_is_nil(S->hub, UJ_HUB_WAKE);
}

/* Whether luv is there, and ours to drive. */
static bool drives_luv(struct uj_state *S, lua_State *L)
{
  return !S->luv_is_host && uj_luv_loaded(S, L);
}

/* When the next step is due; and luv's descriptor, or -1. */
static uint64_t next_due(struct uj_state *S, lua_State *L, int *fd)
{
  uint64_t due_ns = uj_loop_due(&S->loop);
  *fd = -1;
  if (drives_luv(S, L) && uj_luv_alive(S, L))
    due_ns = uj_clock_min(due_ns, uj_luv_due(S, L, fd));
  if (S->cqueues.threads > 0)
    due_ns = uj_clock_min(due_ns, S->cqueues.due_ns);
  return S->cqueues.dirty ? 0 : due_ns;
}

void uj_embed_wake(struct uj_state *S)
{
  if (uj_embed_attached(S)) {
    lua_pushvalue(S->hub, UJ_HUB_WAKE);
    if (lua_pcall(S->hub, 0, 0, 0) == LUA_OK)
      return;
    lua_pop(S->hub, 1);
  }
  uj_driver_alarm(S->driver, 0);
}

/* The poll tells the system of a descriptor that is watched from now on; what
 * it has seen must not wait for another. */
void uj_embed_settle(struct uj_state *S, lua_State *L)
{
  uint64_t due_ns;
  int fd;
  if (!S->embedded)
    return;
  (void)next_due(S, L, &fd);
  uj_driver_watch(S->driver, UJ_GUEST_LUV, fd);
  uj_driver_poll(S->driver);
  uj_work_look(S);
  due_ns = next_due(S, L, &fd);
  if (!uj_embed_attached(S) || !uj_loop_ready(&S->loop))
    uj_driver_alarm(S->driver, due_ns);
  S->loop.asleep = !uj_loop_ready(&S->loop);
}

/* From the first call of a host on. */
static void embed(struct uj_state *S, lua_State *L)
{
  int error = S->driver == NULL ? uj_driver_new(&S->driver) : 0;
  if (error != 0)
    luaL_error(L, "cannot make a loop: %s", uj_driver_strerror(error));
  if (S->embedded)
    return;
  S->embedded = true;
  if (S->L == NULL)
    uj_embed_settle(S, L);
}

int uj_embed_fd(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  int fd;
  embed(S, L);
  fd = uj_driver_fd(S->driver);
  if (fd < 0)
    return luaL_error(L, "there is no descriptor on this system");
  lua_pushinteger(L, fd);
  return 1;
}

int uj_embed_next_timeout(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  uint64_t now_ns, due_ns;
  int fd;
  due_ns = next_due(S, L, &fd);
  if (due_ns == UJ_NEVER)
    return 0;
  now_ns = uj_loop_now(&S->loop);
  due_ns = due_ns > now_ns ? due_ns - now_ns : 0;
  lua_pushnumber(L, (lua_Number)due_ns / NS_PER_S);
  return 1;
}

int uj_embed_set_wake(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  embed(S, L);
  lua_settop(L, 1);
  uj_hub_set(S->hub, L, UJ_HUB_WAKE);
  S->luv_is_host = uj_embed_attached(S);
  if (S->L != NULL)
    return 0;
  uj_embed_settle(S, L);
  if (uj_loop_ready(&S->loop))
    uj_embed_wake(S);
  return 0;
}

int uj_embed_fd_is_timed(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  embed(S, L);
  lua_pushboolean(L, uj_driver_alarm_is_timed(S->driver));
  return 1;
}

int uj_embed_has_jobs(lua_State *L)
{
  lua_pushboolean(L, uj_slots_used(&uj_state(L)->jobs) > 0);
  return 1;
}

/* ---- a step ------------------------------------------------------------- */

static void begin_step(struct uj_state *S, lua_State *L)
{
  embed(S, L);
  S->L = L;
  S->loop.asleep = false;
  S->luv_is_host =
      uj_embed_attached(S) || (uj_luv_loaded(S, L) && uj_luv_running(S, L));
  if (!S->interrupt->started) {
    uj_drive_options_apply(S, &S->embed);
    uj_interrupt_start(S);
  }
  uj_watch_awake(&S->watch);
}

/* When no job is left nobody may call step() again: handles of luv that were
 * closed at last are let go of. luv 1.44 crashes when the Lua state closes
 * before.
 */
static void finish_luv(struct uj_state *S, lua_State *L)
{
  int fd;
  if (uj_slots_used(&S->jobs) > 0 || !drives_luv(S, L) || !uj_luv_alive(S, L) ||
      uj_luv_due(S, L, &fd) > uj_driver_now())
    return;
  if (uj_luv_run(S, L) != LUA_OK)
    lua_pop(L, 1);
}

static void end_step(struct uj_state *S, lua_State *L)
{
  finish_luv(S, L);
  uj_watch_sleep(&S->watch);
  S->L = NULL;
  uj_embed_settle(S, L);
}

/* [-0, +(0|1), -] Returns LUA_OK; or another status, with the error on the top.
 */
static int run_luv(struct uj_state *S, lua_State *L)
{
  if (!drives_luv(S, L))
    return LUA_OK;
  uj_luv_update_time(S, L);
  return uj_luv_alive(S, L) ? uj_luv_run(S, L) : LUA_OK;
}

/* (state) */
static int turn_inside(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  S->L = L;
  luaL_checkstack(L, LUA_MINSTACK, "uvjobs");
  uj_drive_turn(S, L);
  return 0;
}

/* [-0, +(0|1), -] The same for a turn. */
static int turn(struct uj_state *S, lua_State *L)
{
  int status;
  if (!uj_cqueues_must_enter(S)) {
    uj_drive_turn(S, L);
    return LUA_OK;
  }
  status = uj_cqueues_enter(S, L, turn_inside, S);
  S->L = L;
  return status;
}

/* [-0, +(0|1), -] Looks at the guests, then takes a turn. Returns LUA_OK; or
 * the status of the last error, which is on the top. */
static int step(struct uj_state *S, lua_State *L)
{
  int top = lua_gettop(L), status = run_luv(S, L), next;
  next = uj_cqueues_look(S, L);
  if (next != LUA_OK)
    status = next;
  next = turn(S, L);
  if (next != LUA_OK)
    status = next;
  lua_settop(L, status == LUA_OK ? top : lua_gettop(L));
  return status;
}

int uj_embed_step(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  int status;
  if (S->L != NULL)
    return luaL_error(L, "'step' cannot be called while the loop runs");
  luaL_checkstack(L, LUA_MINSTACK, "uvjobs");
  begin_step(S, L);
  status = step(S, L);
  end_step(S, L);
  if (status != LUA_OK)
    return lua_error(L);
  if (!uj_hub_is_nil(S->hub, UJ_HUB_ERROR))
    return uj_state_raise_kept(S, L);
  lua_pushboolean(L, uj_loop_ready(&S->loop));
  return 1;
}

/* ---- start() ------------------------------------------------------------ */

/* The options of the loop hold for all that it runs. */
static void set_loop_options(struct uj_state *S, lua_State *L,
                             const struct uj_callee *callee,
                             const struct uj_run_options *options)
{
  if (options->of_loop == NULL)
    return;
  if (S->L != NULL)
    uj_arg_error(
        L, callee, 1,
        lua_pushfstring(L, "option '%s' cannot be given while the loop runs",
                        options->of_loop));
  S->embed = options->loop;
  uj_interrupt_stop(S); /* until the next step */
}

/* Stack: name or nil, fn, arguments. */
static int start(struct uj_state *S, lua_State *L,
                 const struct uj_run_options *options, const char *name)
{
  struct uj_ljob *job = uj_spawn_make_main(S, L, 2, name);
  job->core.sched->slice_ns = options->slice_ns;
  job->core.deadline_ns = options->timeout_ns;
  if (!lua_isnil(L, 1)) {
    lua_pushvalue(L, 1);
    uj_ljob_set_extra(L, -2, "name");
  }
  (void)uj_sched_spawn(job->core.sched, &job->core);
  return 1;
}

int uj_embed_start(lua_State *L)
{
  static const struct uj_callee callee = {"start", 0};
  struct uj_state *S = uj_state(L);
  struct uj_run_options options = {
      .loop = S->embed, .slice_ns = UJ_NEVER, .timeout_ns = UJ_NEVER};
  int fn = lua_istable(L, 1) ? 2 : 1;
  if (fn == 2)
    uj_drive_options_read_start(L, &callee, &options);
  uj_arg_function(L, &callee, fn);
  set_loop_options(S, L, &callee, &options);
  lua_pushnil(L);
  lua_insert(L, 1);
  if (fn == 2) {
    lua_pushliteral(L, "name");
    lua_rawget(L, 2);
    lua_replace(L, 1);
    lua_remove(L, 2);
  }
  return start(S, L, &options, callee.name);
}
