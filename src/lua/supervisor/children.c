#include "lua/supervisor/children.h"

#include "core/admit.h"
#include "core/end.h"
#include "lua/api/making.h"
#include "lua/api/order.h"
#include "lua/api/spawn.h"
#include "lua/base/seconds.h"
#include "lua/base/text.h"
#include "lua/engine/interrupt.h"
#include "lua/engine/outside.h"
#include "lua/state/sched.h"

/* The places in the registry of the functions that are called when the run of a
 * child has ended, when run() ends, when the first of them has failed, and when
 * that has to be made good later. */
static const char ended_key, stop_key, fail_key, retry_key;

static const char *const ends[] = {
    [UJ_JOB_DONE] = "done",
    [UJ_JOB_FAILED] = "failed",
    [UJ_JOB_CANCELLED] = "cancelled",
    [UJ_JOB_KILLED] = "killed",
};

/* ---- the end of a run ---------------------------------------------------- */

/* (job): calls the function for the end of the job. */
static int call_ended(lua_State *L)
{
  const struct uj_ljob *job = uj_ljob_at(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &ended_key);
  lua_getiuservalue(L, 1, UJ_JOB_UV_CHILD);
  lua_pushvalue(L, 1);
  lua_pushstring(L, ends[job->core.state]);
  if (lua_getiuservalue(L, 1, UJ_JOB_UV_HELD) == LUA_TNONE) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  lua_call(L, 4, 0);
  return 0;
}

/* (job, error): ends the supervisor of the job, whose rules have failed. The
 * error is printed here, where there may be memory for its text. */
static int call_fail(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &fail_key);
  lua_getiuservalue(L, 1, UJ_JOB_UV_CHILD);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 0);
  uj_text_write_error("error in a supervisor: %s\n",
                      uj_text_push(L, 2, "(%s without a text)"));
  return 0;
}

/* [-0, +0, -] Notes at the supervisor of a job that its rules have failed. All
 * that this needs is there, also the strings, which its module has. */
static void mark_faulty(struct uj_state *S, lua_State *L,
                        const struct uj_ljob *job)
{
  int top = lua_gettop(L);
  uj_ljob_push(S, L, job);
  lua_getiuservalue(L, -1, UJ_JOB_UV_CHILD);
  lua_rawgeti(L, -1, UJ_CHILD_KIND);
  lua_pushliteral(L, "supervisor");
  lua_rawget(L, -2);
  lua_pushliteral(L, "_is_faulty");
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_settop(L, top);
}

/* [-1, +0, -] The call for the end of a job has failed with the error on the
 * top. When there is no memory to say so either, the jobs of the supervisor are
 * closed at once, and it is told before the loop waits. */
static void fail(struct uj_state *S, lua_State *L, const struct uj_ljob *job)
{
  S->has_fault = true;
  uj_ljob_push(S, L, job);
  lua_insert(L, -2);
  lua_pushcfunction(L, call_fail);
  lua_insert(L, -3);
  if (uj_outside_pcall(S, L, 2) == LUA_OK)
    return;
  lua_pop(L, 1);
  uj_text_write_error("%s\n", "no memory to tell a supervisor");
  mark_faulty(S, L, job);
  uj_sched_close(job->core.sched, NULL);
}

/* A job that never ran can end while the core goes over the jobs of a scheduler
 * that it closes. No function may be called then (M1). The supervisor notices
 * the end when it closes the child itself. */
void uj_children_ended(struct uj_state *S, const struct uj_ljob *job)
{
  lua_State *L = S->L != NULL ? S->L : S->hub;
  if (job->core.sched->nheld > 0 && uj_ljob_is_held(S, job))
    job->core.sched->nheld--;
  if (S->dead || (!job->core.started && job->core.sched->closed))
    return;
  lua_pushcfunction(L, call_ended);
  uj_ljob_push(S, L, job);
  if (uj_outside_pcall(S, L, 1) != LUA_OK)
    fail(S, L, job);
}

/* Calls what ends the supervisors whose rules have failed. */
static int call_retry(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &retry_key);
  lua_call(L, 0, 0);
  return 0;
}

/* Without a supervisor that ends nobody may be left to wake the loop, so memory
 * that is short for a moment only is waited for here. */
enum { TRIES = 10 };

void uj_children_retry(struct uj_state *S, lua_State *L)
{
  for (int i = 0; S->has_fault && i < TRIES; i++) {
    S->has_fault = false;
    lua_pushcfunction(L, call_retry);
    if (uj_outside_pcall(S, L, 0) == LUA_OK)
      return;
    lua_pop(L, 1);
    S->has_fault = true;
  }
}

void uj_children_register(lua_State *L)
{
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &ended_key);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &stop_key);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &fail_key);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &retry_key);
}

static int l_on_child_end(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  lua_settop(L, 4);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &retry_key);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &fail_key);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &stop_key);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &ended_key);
  return 0;
}

/* ---- the end of run() ---------------------------------------------------- */

/* (child): begins to stop the supervisor of the child. */
static int stop(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &stop_key);
  lua_insert(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

/* Begins to stop the supervisor to which a scheduler belongs. When there is no
 * memory for that, all jobs of the scheduler are closed at once. The job on the
 * stack keeps the scheduler alive meanwhile. */
static void stop_supervisor(struct uj_state *S, lua_State *L,
                            struct uj_sched *sched)
{
  struct uj_job *job = uj_container(sched->jobs.next, struct uj_job, member);
  sched->stops = true;
  uj_ljob_push(S, L, uj_ljob_of(job));
  lua_pushcfunction(L, stop);
  lua_getiuservalue(L, -2, UJ_JOB_UV_CHILD);
  if (uj_outside_pcall(S, L, 1) != LUA_OK) {
    lua_pop(L, 1);
    uj_sched_close(sched, NULL);
  }
}

void uj_children_stop(struct uj_state *S, lua_State *L)
{
  struct uj_link *link = S->loop.scheds.next;
  while (link != &S->loop.scheds) {
    struct uj_sched *sched = uj_container(link, struct uj_sched, link);
    int top = lua_gettop(L);
    if (sched->in_turn && !sched->closed && uj_link_empty(&sched->jobs))
      uj_sched_close(sched, NULL);
    else if (sched->in_turn && !sched->closed && !sched->stops)
      stop_supervisor(S, L, sched);
    link = link->next;
    lua_settop(L, top);
  }
}

/* ---- the beginning of one ------------------------------------------------ */

/* The stack of spawn_child(); AT_HELD is nil. */
enum { AT_SCHED = 1, AT_FN, AT_CHILD, AT_BUSY, AT_CLOSE, AT_HELD };

/* The child comes twice behind the function: as its argument, which the job has
 * only until it starts, and to be kept. */
int uj_children_spawn(struct uj_state *S, lua_State *L, int at, int fn)
{
  static const struct uj_rank_options rank = {.priority = 0};
  struct uj_ljob *job;
  if (uj_lsched_at(L, at)->core.closed)
    return UJ_ECLOSED;
  lua_pushvalue(L, fn + 1);
  lua_insert(L, fn + 1);
  job = uj_make_child(S, L, at, fn);
  job->core.sched->in_turn = true;
  job->core.heard = UJ_HEARS_ALL; /* the supervisor reports what is to be */
  return uj_spawn_keep_and_admit(S, L, at, job, &rank);
}

static int l_spawn_child(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  bool is_limited = lua_type(L, AT_CLOSE) == LUA_TNUMBER;
  uj_lsched_self(L, "spawn_child");
  luaL_checktype(L, AT_FN, LUA_TFUNCTION);
  lua_settop(L, is_limited ? AT_HELD : AT_CHILD);
  if (is_limited && lua_isnumber(L, AT_BUSY))
    uj_interrupt_add_slice(S, uj_seconds_to_ns(lua_tonumber(L, AT_BUSY)));
  return uj_children_spawn(S, L, AT_SCHED, AT_FN) == UJ_OK ? 1 : 0;
}

/* ---- ending one ---------------------------------------------------------- */

static int l_close_child(lua_State *L)
{
  struct uj_ljob *job = uj_ljob_self(L, "close_child");
  uint64_t span_ns = uj_seconds_to_ns(luaL_checknumber(L, 2));
  const struct uj_ljob *closer = uj_ljob_to(L, 3);
  uj_state(L);
  if (closer != NULL && !uj_job_ended(&closer->core))
    span_ns = uj_job_grace(&closer->core, span_ns);
  uj_job_close(&job->core, span_ns);
  lua_pushboolean(L, uj_job_ended(&job->core));
  return 1;
}

static int l_child_of(lua_State *L)
{
  const struct uj_ljob *job = uj_ljob_to(L, 1);
  if (job == NULL || !job->is_child)
    lua_pushnil(L);
  else
    lua_getiuservalue(L, 1, UJ_JOB_UV_CHILD);
  return 1;
}

static int l_kept_traceback(lua_State *L)
{
  uj_ljob_self(L, "kept_traceback");
  uj_ljob_get_extra(L, 1, "traceback");
  return 1;
}

static int l_note_fault(lua_State *L)
{
  uj_state(L)->has_fault = true;
  return 0;
}

static int l_held_since(lua_State *L)
{
  const struct uj_sched *sched = &uj_lsched_self(L, "held_since")->core;
  if (sched->nheld == 0)
    lua_pushnil(L);
  else
    uj_seconds_push(L, sched->held_ns);
  return 1;
}

const luaL_Reg uj_children_internals[] = {
    {"held_since", l_held_since},     {"spawn_child", l_spawn_child},
    {"close_child", l_close_child},   {"child_of", l_child_of},
    {"on_child_end", l_on_child_end}, {"kept_traceback", l_kept_traceback},
    {"note_fault", l_note_fault},     {NULL, NULL}};
