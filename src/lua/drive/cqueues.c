#include "lua/drive/cqueues.h"

#include <lauxlib.h>

#include "loop/driver.h"
#include "lua/base/seconds.h"
#include "lua/engine/hookerror.h"
#include "lua/engine/pool.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

/* The functions of uvjobs.cqueues, in the table at uj_cqueues::functions. */
enum { ENTER = 1, POLL, LEAVE, STEP };

/* The arguments of open(). */
enum { AT_MAGIC = 1, AT_FD, AT_FUNCTIONS };

void uj_cqueues_init(struct uj_state *S, lua_State *L)
{
  lua_pushnil(L);
  S->cqueues->functions = uj_hub_keep(S->hub, L);
}

/* (magic, descriptor, enter, poll, leave, step) */
static int open(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_newtable(L);
  for (int i = ENTER; i <= STEP; i++) {
    lua_pushvalue(L, AT_FUNCTIONS + i - ENTER);
    lua_rawseti(L, -2, i);
  }
  uj_hub_set(S->hub, L, S->cqueues->functions);
  S->cqueues->fd = (int)luaL_checkinteger(L, AT_FD);
  S->cqueues->due_ns = UJ_NEVER;
  S->cqueues->magic = lua_touserdata(L, AT_MAGIC);
  return 0;
}

static void push_function(struct uj_state *S, lua_State *L, int function)
{
  uj_hub_push(S->hub, L, S->cqueues->functions);
  lua_rawgeti(L, -1, function);
  lua_remove(L, -2);
}

/* ---- the loop goes on inside --------------------------------------------- */

struct entry {
  struct uj_state *S;
  void (*go_on)(struct uj_state *S, lua_State *L);
};

/* (entry): runs on a coroutine of the controller. */
static int inside(lua_State *L)
{
  const struct entry *entry = lua_touserdata(L, 1);
  luaL_checkstack(L, 2 * LUA_MINSTACK, "uvjobs");
  entry->S->L = L;
  entry->go_on(entry->S, L);
  return 0;
}

void uj_cqueues_enter(struct uj_state *S, lua_State *L,
                      void (*go_on)(struct uj_state *S, lua_State *L))
{
  struct entry entry = {.S = S, .go_on = go_on};
  push_function(S, L, ENTER);
  lua_pushcfunction(L, inside);
  lua_pushlightuserdata(L, &entry);
  S->cqueues->inside = true;
  if (lua_pcall(L, 2, 0, 0) != LUA_OK)
    uj_state_keep_error(S, L);
  S->cqueues->inside = false;
  S->L = L;
}

/* ---- a job waits --------------------------------------------------------- */

bool uj_cqueues_is_poll(const struct uj_state *S, const struct uj_ljob *job,
                        int n)
{
  lua_State *co = job->co;
  return S->cqueues->magic != NULL && n > 0 && lua_islightuserdata(co, -n) &&
         lua_touserdata(co, -n) == S->cqueues->magic;
}

/* [-n, +(0|1), -] Calls a function of uvjobs.cqueues. Returns LUA_OK; or
 * another status, with the error on the top. */
static int call(struct uj_state *S, lua_State *L, int function, int n)
{
  push_function(S, L, function);
  lua_insert(L, -1 - n);
  return lua_pcall(L, n, 0, 0);
}

/* [-1, +0, -] Ends the job's wait by the error on the top, which is kept as the
 * job's value. Where there is no memory for that place, the error is to be "not
 * enough memory". */
static void set_failure(struct uj_state *S, lua_State *L, struct uj_ljob *job)
{
  if (job->co_slot == 0) /* the value is what keeps the job's coroutine */
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
  uj_job_park(&job->core, NULL, UJ_NEVER, UJ_LOP_POLL);
  if (job->core.place != UJ_AT_WAIT) { /* it is to end */
    lua_pop(co, n);
    return;
  }
  uj_pool_keep(S, job);
  S->cqueues->is_dirty = true;
  job->polls = true;
  if (!lua_checkstack(L, n + LUA_MINSTACK)) {
    lua_pop(co, n);
    lua_pushliteral(L, "too many objects");
    set_failure(S, L, job);
    return;
  }
  uj_ljob_push(S, L, job);
  lua_xmove(co, L, n);
  lua_remove(L, -n); /* the magic value */
  if (call(S, L, POLL, n) != LUA_OK)
    set_failure(S, L, job);
}

/* ---- a job goes on ------------------------------------------------------- */

/* [-0, +1, -] Pushes the error by which set_failure() has ended the job's wait,
 * and forgets it. */
static void push_failure(struct uj_state *S, lua_State *L, struct uj_ljob *job)
{
  job->poll_failed = false;
  if (job->co_slot == 0) {
    uj_hub_push(S->hub, L, UJ_HUB_NO_MEMORY);
    return;
  }
  uj_ljob_push(S, L, job);
  uj_ljob_get_value(L, job, -1);
  lua_pushnil(L);
  uj_ljob_set_value(L, job, -3);
  lua_remove(L, -2);
}

/* [-0, +1, m] Pushes why the current job's wait has ended. */
static void push_reason(struct uj_state *S, lua_State *L)
{
  struct uj_ljob *job = S->current;
  if (job->poll_failed)
    push_failure(S, L, job);
  else
    uj_suspend_push_error(S, L, (enum uj_wake)job->core.wake);
}

static void restore_hook(const struct uj_state *S, lua_State *co)
{
  const struct uj_cqueues *self = S->cqueues;
  lua_sethook(co, self->hook, self->hook_mask, self->hook_count);
}

/* Raises in a job that is suspended in a yield of cqueues, before its next
 * instruction: such a yield can only return. */
static void reason_hook(lua_State *L, lua_Debug *ar)
{
  struct uj_state *S = uj_state_registered(L);
  (void)ar;
  restore_hook(S, L);
  if (S->current == NULL || S->running != L)
    return;
  push_reason(S, L);
  uj_hookerror_raise(S, L, false);
}

/* The job was woken by something else than what it polls: so the controller
 * must not wait for that any longer. */
static void withdraw(struct uj_state *S, struct uj_ljob *job)
{
  lua_State *L = S->L;
  job->polls = false;
  S->cqueues->is_dirty = true;
  uj_ljob_push(S, L, job);
  if (call(S, L, LEAVE, 1) != LUA_OK)
    lua_pop(L, 1);
}

bool uj_cqueues_remove_hook(struct uj_state *S, lua_State *co)
{
  if (lua_gethook(co) != reason_hook)
    return false;
  restore_hook(S, co);
  return true;
}

static void set_reason_hook(struct uj_state *S, lua_State *co)
{
  S->cqueues->hook = lua_gethook(co);
  S->cqueues->hook_mask = lua_gethookmask(co);
  S->cqueues->hook_count = lua_gethookcount(co);
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

/* ---- what uvjobs.cqueues calls ------------------------------------------- */

static bool waits(const struct uj_ljob *job)
{
  return job->polls && job->core.place == UJ_AT_WAIT;
}

/* (job, ...) */
static int wake(lua_State *L)
{
  struct uj_ljob *job = uj_ljob_self(L, "wake");
  int n = lua_gettop(L) - 1;
  bool waited = waits(job);
  if (waited) {
    if (!uj_ljob_can_take(job, n))
      return luaL_error(L, "too many objects");
    job->polls = false;
    uj_ljob_hand(job, L, n);
    uj_job_wake(&job->core, UJ_WAKE_OK);
  }
  lua_pushboolean(L, waited);
  return 1;
}

static int touch(lua_State *L)
{
  uj_state(L)->cqueues->is_dirty = true;
  return 0;
}

/* (job, error) */
static int fail(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_self(L, "fail");
  if (!waits(job))
    return 0;
  job->polls = false;
  lua_settop(L, 2);
  set_failure(S, L, job);
  return 0;
}

const luaL_Reg uj_cqueues_internals[] = {{"open", open},
                                         {"wake", wake},
                                         {"touch", touch},
                                         {"fail", fail},
                                         {NULL, NULL}};

/* ---- a step of the controller -------------------------------------------- */

static bool step_is_due(struct uj_state *S)
{
  return S->cqueues->is_dirty ||
         uj_driver_take_readable(S->driver, UJ_GUEST_CQUEUES) ||
         S->cqueues->due_ns <= uj_driver_now();
}

/* [-2, +0, -] Stores the results of a step: in how many seconds the next one is
 * due, or nil; and how many coroutines the controller has. */
static void take_step(struct uj_cqueues *self, lua_State *L)
{
  self->threads = (uint32_t)lua_tointeger(L, -1);
  if (lua_type(L, -2) == LUA_TNUMBER)
    self->due_ns =
        uj_clock_add(uj_driver_now(), uj_seconds_to_ns(lua_tonumber(L, -2)));
  lua_pop(L, 2);
}

void uj_cqueues_step(struct uj_state *S, lua_State *L)
{
  struct uj_cqueues *self = S->cqueues;
  if (self->magic == NULL)
    return;
  uj_driver_watch(S->driver, UJ_GUEST_CQUEUES, self->fd);
  if (!step_is_due(S))
    return;
  self->is_dirty = false;
  self->due_ns = UJ_NEVER;
  push_function(S, L, STEP);
  if (lua_pcall(L, 0, 2, 0) == LUA_OK)
    take_step(self, L);
  else
    uj_state_keep_error(S, L);
}
