#include "lua/drive/embed.h"

#include <lauxlib.h>

#include "core/admit.h"
#include "core/sched.h"
#include "loop/driver.h"
#include "loop/signals.h"
#include "lua/api/date.h"
#include "lua/api/making.h"
#include "lua/api/work.h"
#include "lua/base/seconds.h"
#include "lua/channel/hear.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/guests.h"
#include "lua/drive/luv.h"
#include "lua/drive/options.h"
#include "lua/drive/turn.h"
#include "lua/engine/inspecting.h"
#include "lua/engine/interrupt.h"
#include "lua/insight/glance.h"
#include "lua/service/service.h"
#include "lua/state/job.h"
#include "lua/state/unseen.h"

/* ---- what the host sees -------------------------------------------------- */

void uj_embed_init(struct uj_state *S, lua_State *L)
{
  uj_drive_options_init(&S->embed->options);
  lua_pushnil(L);
  S->embed->wake = uj_hub_keep(S->hub, L);
}

bool uj_embed_attached(const struct uj_state *S)
{
  return !uj_hub_is_nil(S->hub, S->embed->wake);
}

/* When the next step is due; and luv's descriptor, or -1. */
static uint64_t next_due(struct uj_state *S, lua_State *L, int *fd)
{
  uint64_t due_ns = uj_loop_due(&S->loop);
  *fd = -1;
  uj_guests_find(S, L);
  if (uj_guests_alive(S, L))
    due_ns = uj_clock_min(due_ns, uj_guests_due(S, L, fd));
  return S->cqueues->is_dirty ? 0 : due_ns;
}

void uj_embed_wake(struct uj_state *S)
{
  if (uj_embed_attached(S)) {
    lua_pushvalue(S->hub, S->embed->wake);
    if (lua_pcall(S->hub, 0, 0, 0) == LUA_OK)
      return;
    lua_pop(S->hub, 1);
  }
  uj_driver_set_alarm(S->driver, 0);
}

/* The poll makes the system watch luv's descriptor from now on. What the poll
 * sees is for the next step, which may be due at once for that. */
void uj_embed_arm(struct uj_state *S, lua_State *L)
{
  uint64_t due_ns;
  int fd;
  if (!S->embed->is_hosted)
    return;
  (void)next_due(S, L, &fd);
  uj_driver_watch(S->driver, UJ_GUEST_LUV, fd);
  uj_driver_poll(S->driver);
  uj_work_wake_ended(S);
  uj_services_hear(S, L);
  uj_channels_hear(S);
  uj_date_look(S, S->date);
  due_ns = next_due(S, L, &fd);
  if (!uj_channels_sleep(S))
    due_ns = 0;
  if (!uj_embed_attached(S) || !uj_loop_ready(&S->loop))
    uj_driver_set_alarm(S->driver, due_ns);
  uj_loop_set_asleep(&S->loop, !uj_loop_ready(&S->loop));
}

/* [-0, +0, v] A host makes itself known, by its first call: from now on it can
 * see when we have something to do. */
static void begin_hosting(struct uj_state *S, lua_State *L)
{
  int error = uj_drive_open(S);
  if (error != 0)
    luaL_error(L, "cannot make a loop: %s", uj_driver_strerror(error));
  if (S->embed->is_hosted)
    return;
  S->embed->is_hosted = true;
  if (S->L == NULL)
    uj_embed_arm(S, L);
}

static int l_fd(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  int fd;
  begin_hosting(S, L);
  fd = uj_driver_fd(S->driver);
  if (fd < 0)
    return luaL_error(L, "there is no descriptor on this system");
  lua_pushinteger(L, fd);
  return 1;
}

static int l_next_timeout(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  uint64_t now_ns, due_ns;
  int fd;
  due_ns = next_due(S, L, &fd);
  if (due_ns == UJ_NEVER)
    return 0;
  now_ns = uj_loop_now(&S->loop);
  due_ns = due_ns > now_ns ? due_ns - now_ns : 0;
  uj_seconds_push(L, due_ns);
  return 1;
}

static int l_set_wake(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  begin_hosting(S, L);
  lua_settop(L, 1);
  uj_hub_set(S->hub, L, S->embed->wake);
  S->luv->is_host = uj_embed_attached(S);
  if (S->L != NULL)
    return 0;
  uj_embed_arm(S, L);
  if (uj_loop_ready(&S->loop))
    uj_embed_wake(S);
  return 0;
}

static int l_fd_is_timed(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  begin_hosting(S, L);
  lua_pushboolean(L, uj_driver_alarm_is_timed(S->driver));
  return 1;
}

static int l_has_jobs(lua_State *L)
{
  lua_pushboolean(L, uj_unseen_count_jobs(uj_state(L)) > 0);
  return 1;
}

static int l_loop_runs(lua_State *L)
{
  lua_pushboolean(L, uj_state(L)->L != NULL);
  return 1;
}

/* ---- a step -------------------------------------------------------------- */

static void begin_step(struct uj_state *S, lua_State *L)
{
  begin_hosting(S, L);
  S->L = L;
  uj_loop_set_asleep(&S->loop, false);
  if (uj_embed_attached(S))
    S->luv->is_host = true;
  else
    uj_luv_find_host(S, L);
  if (!S->interrupt->started) {
    uj_drive_options_apply(S, &S->embed->options);
    uj_interrupt_start(S);
    (void)uj_signals_unblock_child(); /* nobody can say until when */
  }
  uj_watch_wake(&S->watch);
}

static void step(struct uj_state *S, lua_State *L)
{
  uj_insight_note_time(S, true);
  (void)uj_inspecting_look(S, L);
  uj_guests_find(S, L);
  uj_guests_update_time(S, L);
  uj_guests_run(S, L);
  if (uj_cqueues_must_enter(S))
    uj_cqueues_enter(S, L, uj_drive_turn);
  else
    uj_drive_turn(S, L);
}

/* When no job is left nobody may call step() again. */
static void end_step(struct uj_state *S, lua_State *L)
{
  if (uj_unseen_count_jobs(S) == 0)
    uj_guests_finish(S, L);
  uj_insight_note_time(S, false);
  uj_watch_sleep(&S->watch);
  S->L = NULL;
  uj_embed_arm(S, L);
}

static int l_step(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (S->L != NULL)
    return luaL_error(L, "'step' cannot be called while the loop runs");
  luaL_checkstack(L, LUA_MINSTACK, "uvjobs");
  begin_step(S, L);
  step(S, L);
  end_step(S, L);
  if (uj_state_has_error(S))
    return uj_state_raise_kept(S, L);
  lua_pushboolean(L, uj_loop_ready(&S->loop));
  return 1;
}

/* ---- start() ------------------------------------------------------------- */

/* Options of the loop hold for all jobs that it runs, from the next step on. */
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
  S->embed->options = options->loop;
  uj_interrupt_stop(S); /* the next step starts it with the new options */
}

/* [-0, +1, -] Inserts the name of the job, or nil, below the function, and
 * removes the table of options, if there was one. */
static void insert_name(lua_State *L, bool has_options)
{
  if (has_options) {
    lua_pushliteral(L, "name");
    lua_rawget(L, 1);
    lua_replace(L, 1);
  } else {
    lua_pushnil(L);
    lua_insert(L, 1);
  }
}

/* [-n, +1, m] Makes the job and admits it. Stack: name or nil, fn, arguments.
 */
static int start(struct uj_state *S, lua_State *L,
                 const struct uj_run_options *options, const char *name)
{
  struct uj_ljob *job = uj_make_main(S, L, 2, name);
  job->core.sched->slice_ns = options->slice_ns;
  job->core.deadline_ns = options->timeout_ns;
  if (!lua_isnil(L, 1)) {
    lua_pushvalue(L, 1);
    uj_ljob_set_extra(L, -2, "name");
  }
  (void)uj_sched_spawn(job->core.sched, &job->core);
  return 1;
}

/* start([opts,] fn, ...) */
static int l_start(lua_State *L)
{
  static const struct uj_callee callee = {"start", 0};
  struct uj_state *S = uj_state(L);
  struct uj_run_options options = {
      .loop = S->embed->options, .slice_ns = UJ_NEVER, .timeout_ns = UJ_NEVER};
  int fn = lua_istable(L, 1) ? 2 : 1;
  if (fn == 2)
    uj_drive_options_read_start(L, &callee, &options);
  uj_arg_function(L, &callee, fn);
  set_loop_options(S, L, &callee, &options);
  insert_name(L, fn == 2);
  return start(S, L, &options, callee.name);
}

const luaL_Reg uj_embed_functions[] = {{"start", l_start},
                                       {"step", l_step},
                                       {"fd", l_fd},
                                       {"next_timeout", l_next_timeout},
                                       {NULL, NULL}};

const luaL_Reg uj_embed_internals[] = {{"set_wake", l_set_wake},
                                       {"fd_is_timed", l_fd_is_timed},
                                       {"has_jobs", l_has_jobs},
                                       {"loop_runs", l_loop_runs},
                                       {NULL, NULL}};
