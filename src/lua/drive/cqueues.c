#include "lua/drive/cqueues.h"

#include <lauxlib.h>

#include "loop/driver.h"
#include "lua/engine/hookerror.h"
#include "lua/engine/pool.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

#define NS_PER_S 1e9
#define LONGEST 1e9 /* seconds; a longer wait never ends */

/* The functions of cqueues.lua, in the table at UJ_HUB_CQUEUES. */
enum { CQ_ENTER = 1, CQ_POLL, CQ_LEAVE, CQ_STEP };

/* The arguments of open(). */
enum { AT_MAGIC = 1, AT_FD, AT_FUNCTIONS };

static void push_function(struct uj_state *S, lua_State *L, int function)
{
  uj_hub_push(S->hub, L, UJ_HUB_CQUEUES);
  lua_rawgeti(L, -1, function);
  lua_remove(L, -2);
}

int uj_cqueues_register(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_newtable(L);
  for (int i = CQ_ENTER; i <= CQ_STEP; i++) {
    lua_pushvalue(L, AT_FUNCTIONS + i - CQ_ENTER);
    lua_rawseti(L, -2, i);
  }
  uj_hub_set(S->hub, L, UJ_HUB_CQUEUES);
  S->cqueues.fd = (int)luaL_checkinteger(L, AT_FD);
  S->cqueues.due_ns = UJ_NEVER;
  S->cqueues.magic = lua_touserdata(L, AT_MAGIC);
  return 0;
}

int uj_cqueues_enter(struct uj_state *S, lua_State *L, lua_CFunction go_on,
                     void *arg)
{
  int status;
  push_function(S, L, CQ_ENTER);
  lua_pushcfunction(L, go_on);
  lua_pushlightuserdata(L, arg);
  S->cqueues.inside = true;
  status = lua_pcall(L, 2, 0, 0);
  S->cqueues.inside = false;
  return status;
}

/* ---- a job waits -------------------------------------------------------- */

bool uj_cqueues_is_poll(const struct uj_state *S, const struct uj_ljob *job,
                        int n)
{
  lua_State *co = job->co;
  return S->cqueues.magic != NULL && n > 0 && lua_islightuserdata(co, -n) &&
         lua_touserdata(co, -n) == S->cqueues.magic;
}

/* [-n, +0, -] Calls a function of cqueues.lua, which may lack memory. */
static int call(struct uj_state *S, lua_State *L, int function, int n)
{
  push_function(S, L, function);
  lua_insert(L, -1 - n);
  return lua_pcall(L, n, 0, 0);
}

/* [-1, +0, -] The job is to fail of the error on the top, or for lack of memory
 * where there is not even any to keep that. */
static void set_failure(struct uj_state *S, lua_State *L, struct uj_ljob *job)
{
  if (job->co_slot == 0) /* nothing else would keep its coroutine */
    lua_pop(L, 1);
  else {
    uj_ljob_push(S, L, job);
    lua_insert(L, -2);
    uj_ljob_set_value(L, job, -2);
    lua_pop(L, 1);
  }
  job->poll_failed = true;
  uj_job_wake(&job->core, UJ_WAKE_OK);
}

void uj_cqueues_poll(struct uj_state *S, struct uj_ljob *job, int n)
{
  lua_State *co = job->co, *L = S->L;
  uj_job_park(&job->core, NULL, UJ_NEVER, UJ_OP_POLL);
  if (job->core.place != UJ_AT_WAIT) { /* it is to end */
    lua_pop(co, n);
    return;
  }
  uj_pool_keep(S, job);
  S->cqueues.dirty = true;
  job->polls = true;
  S->cqueues.waits++;
  if (!lua_checkstack(L, n + LUA_MINSTACK)) {
    lua_pop(co, n);
    lua_pushliteral(L, "too many objects");
    set_failure(S, L, job);
    return;
  }
  uj_ljob_push(S, L, job);
  lua_xmove(co, L, n);
  lua_remove(L, -n); /* the magic value */
  if (call(S, L, CQ_POLL, n) != LUA_OK)
    set_failure(S, L, job);
}

/* ---- and goes on -------------------------------------------------------- */

static int push_reason(struct uj_state *S, lua_State *L)
{
  struct uj_ljob *job = S->current;
  if (job->poll_failed) {
    job->poll_failed = false;
    if (job->co_slot == 0) {
      uj_hub_push(S->hub, L, UJ_HUB_NO_MEMORY);
      return 1;
    }
    uj_ljob_push(S, L, job);
    uj_ljob_get_value(L, job, -1);
    lua_pushnil(L);
    uj_ljob_set_value(L, job, -3);
    lua_remove(L, -2);
  } else
    uj_suspend_push_error(S, L, (enum uj_wake)job->core.wake);
  return 1;
}

/* Raises in a job that yielded past us, before its next instruction. */
static void reason_hook(lua_State *L, lua_Debug *ar)
{
  struct uj_state *S = uj_state_registered(L);
  (void)ar;
  lua_sethook(L, S->cqueues.hook, S->cqueues.mask, S->cqueues.count);
  if (S->current == NULL || S->running != L)
    return;
  push_reason(S, L);
  uj_hookerror_raise(S, L, false);
}

/* [-0, +0, -] Its wait is over, or given up. */
static void end_wait(struct uj_state *S, struct uj_ljob *job)
{
  S->cqueues.waits--;
  job->polls = false;
}

static void withdraw(struct uj_state *S, struct uj_ljob *job)
{
  lua_State *L = S->L;
  end_wait(S, job);
  S->cqueues.dirty = true;
  uj_ljob_push(S, L, job);
  if (call(S, L, CQ_LEAVE, 1) != LUA_OK)
    lua_pop(L, 1);
}

bool uj_cqueues_was_not_told(struct uj_state *S, lua_State *co)
{
  if (lua_gethook(co) != reason_hook)
    return false;
  lua_sethook(co, S->cqueues.hook, S->cqueues.mask, S->cqueues.count);
  return true;
}

static void set_reason_hook(struct uj_state *S, lua_State *co)
{
  S->cqueues.hook = lua_gethook(co);
  S->cqueues.mask = lua_gethookmask(co);
  S->cqueues.count = lua_gethookcount(co);
  lua_sethook(co, reason_hook, LUA_MASKCOUNT, 1);
}

void uj_cqueues_go_on(struct uj_state *S, struct uj_ljob *job)
{
  if (job->polls)
    withdraw(S, job);
  if ((job->core.wake == UJ_WAKE_OK && !job->poll_failed) || S->killing)
    return;
  set_reason_hook(S, job->co);
}

int uj_cqueues_wake(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, "cq_wake");
  int n = lua_gettop(L) - 1;
  bool waits = job->polls && job->core.place == UJ_AT_WAIT;
  if (waits) {
    if (!uj_ljob_can_take(job, n))
      return luaL_error(L, "too many objects");
    end_wait(S, job);
    uj_ljob_hand(job, L, n);
    uj_job_wake(&job->core, UJ_WAKE_OK);
  }
  lua_pushboolean(L, waits);
  return 1;
}

int uj_cqueues_touch(lua_State *L)
{
  uj_state(L)->cqueues.dirty = true;
  return 0;
}

int uj_cqueues_fail(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, "cq_fail");
  if (!job->polls || job->core.place != UJ_AT_WAIT)
    return 0;
  end_wait(S, job);
  lua_settop(L, 2);
  set_failure(S, L, job);
  return 0;
}

/* ---- looking ------------------------------------------------------------ */

static bool is_due(struct uj_state *S)
{
  return S->cqueues.dirty || uj_driver_seen(S->driver, UJ_GUEST_CQUEUES) ||
         S->cqueues.due_ns <= uj_driver_now();
}

int uj_cqueues_look(struct uj_state *S, lua_State *L)
{
  int status;
  if (S->cqueues.magic == NULL)
    return LUA_OK;
  uj_driver_watch(S->driver, UJ_GUEST_CQUEUES, S->cqueues.fd);
  if (!is_due(S))
    return LUA_OK;
  S->cqueues.dirty = false;
  S->cqueues.due_ns = UJ_NEVER;
  push_function(S, L, CQ_STEP);
  status = lua_pcall(L, 0, 2, 0);
  if (status != LUA_OK)
    return status;
  S->cqueues.threads = (uint32_t)lua_tointeger(L, -1);
  if (lua_type(L, -2) == LUA_TNUMBER && lua_tonumber(L, -2) < LONGEST)
    S->cqueues.due_ns = uj_clock_add(
        uj_driver_now(), (uint64_t)(lua_tonumber(L, -2) * NS_PER_S));
  lua_pop(L, 2);
  return LUA_OK;
}
