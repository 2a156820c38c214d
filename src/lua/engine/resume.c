#include "lua/engine/resume.h"

#include <lauxlib.h>

#include "lua/base/inside.h"
#include "lua/engine/hook.h"
#include "lua/engine/killing.h"
#include "lua/engine/stretch.h"

static int close_native(struct uj_state *S, lua_State *co, lua_State *from);

int uj_resume_job(struct uj_state *S, struct uj_ljob *job, int nargs,
                  int *nresults)
{
  int status;
  S->current = job;
  job->resumes++;
  uj_watch_tick(&S->watch);
  if (job->core.op == UJ_OP_PREEMPTED)
    uj_stretch_go_on(S);
  uj_hook_set_running(S, job->co);
  status = lua_resume(job->co, S->L, nargs, nresults);
  uj_hook_set_running(S, NULL);
  uj_watch_tick(&S->watch);
  S->current = NULL;
  return status;
}

/* What is put aside while another coroutine of the job runs. */
struct outer {
  bool yields;    /* uj_state::chain_yields */
  int kill_depth; /* see uj_killing_go_in() */
};

/* `co` becomes the part of the job that runs; it can suspend the job or not. */
static struct outer go_in(struct uj_state *S, lua_State *co, bool yields)
{
  struct outer outer = {S->chain_yields, 0};
  S->chain_yields = yields;
  if (S->killing)
    outer.kill_depth = uj_killing_go_in(S);
  uj_hook_set_running(S, co);
  return outer;
}

static void come_out(struct uj_state *S, lua_State *co, lua_State *from,
                     struct outer outer)
{
  uj_hook_set_running(S, from);
  if (S->killing) {
    lua_sethook(co, NULL, 0, 0);
    uj_killing_come_out(S, outer.kill_depth);
  }
  S->chain_yields = outer.yields;
}

/* Gives a coroutine the hook that counts, unless it has a hook. Returns whether
 * it does. */
static bool begin_to_count(struct uj_state *S, lua_State *co)
{
  bool counted =
      lua_gethook(co) == NULL && uj_hook_counts(S, S->current->core.sched);
  if (counted)
    uj_hook_reset(S, co, true);
  return counted;
}

/* The job can suspend in `co` only if it can in `from`, and in what resumed
 * that: `from` does not move while `co` runs. */
int uj_resume_nested(struct uj_state *S, lua_State *co, lua_State *from,
                     int nargs, int *nresults)
{
  struct outer outer;
  bool counted;
  int status;
  if (!uj_resume_is_part(S, from))
    return uj_resume_native(S, co, from, nargs, nresults);
  counted = begin_to_count(S, co);
  outer = go_in(S, co, S->chain_yields && lua_isyieldable(from));
  status = lua_resume(co, from, nargs, nresults);
  come_out(S, co, from, outer);
  if (counted)
    lua_sethook(co, NULL, 0, 0);
  return status;
}

/* The to-be-closed variables are a part of the job, too, but cannot suspend it.
 */
int uj_resume_close(struct uj_state *S, lua_State *co, lua_State *from)
{
  struct outer outer;
  int status;
  if (!uj_resume_is_part(S, from))
    return close_native(S, co, from);
  outer = go_in(S, co, false);
  status = uj_inside_closethread(co, from);
  come_out(S, co, from, outer);
  return status;
}

/* ---- coroutines of Lua's own ----------------------------------------------
 */

/* A job cannot suspend in such a coroutine, whoever resumes which in it: so
 * only the hook has to know where it is. */
static bool runs_in(const struct uj_state *S, lua_State *L)
{
  return S->current != NULL && uj_hook_target(S) == L;
}

/* What is put aside while a coroutine of Lua's own runs. */
struct outer_native {
  lua_State *native;
  int kill_depth;
};

static struct outer_native go_in_native(struct uj_state *S, lua_State *co)
{
  struct outer_native outer = {S->native, 0};
  if (S->killing)
    outer.kill_depth = uj_killing_go_in(S);
  uj_hook_set_native(S, co);
  return outer;
}

static void come_out_native(struct uj_state *S, lua_State *co,
                            struct outer_native outer)
{
  uj_hook_set_native(S, outer.native);
  if (S->killing) {
    lua_sethook(co, NULL, 0, 0);
    uj_killing_come_out(S, outer.kill_depth);
  }
}

static int close_native(struct uj_state *S, lua_State *co, lua_State *from)
{
  struct outer_native outer;
  int status;
  if (!runs_in(S, from))
    return uj_inside_closethread(co, from);
  outer = go_in_native(S, co);
  status = uj_inside_closethread(co, from);
  come_out_native(S, co, outer);
  return status;
}

/* What has failed in a job that is being killed: see api/coroutine.c. */
static void close_killed(struct uj_state *S, lua_State *co, lua_State *from)
{
  int depth = S->kill->depth;
  S->kill->depth = 0;
  (void)close_native(S, co, from);
  S->kill->depth = depth;
}

static bool has_failed(lua_State *co)
{
  return lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD;
}

int uj_resume_native(struct uj_state *S, lua_State *co, lua_State *from,
                     int nargs, int *nresults)
{
  struct outer_native outer;
  bool counted;
  int status;
  if (!runs_in(S, from))
    return lua_resume(co, from, nargs, nresults);
  counted = begin_to_count(S, co);
  outer = go_in_native(S, co);
  status = lua_resume(co, from, nargs, nresults);
  come_out_native(S, co, outer);
  if (counted)
    lua_sethook(co, NULL, 0, 0);
  if (S->killing && has_failed(co))
    close_killed(S, co, from);
  return status;
}

static void note(struct uj_tracked *self, lua_State *L)
{
  if (self->enter == NULL)
    return;
  self->running = L;
  self->enter(self->arg, L);
}

int uj_resume_tracked(struct uj_tracked *tracked, lua_State *co,
                      lua_State *from, int nargs, int *nresults)
{
  int status;
  note(tracked, co);
  status = tracked->state != NULL
               ? uj_resume_native(tracked->state, co, from, nargs, nresults)
               : lua_resume(co, from, nargs, nresults);
  note(tracked, from);
  return status;
}

int uj_resume_close_tracked(struct uj_tracked *tracked, lua_State *co,
                            lua_State *from)
{
  int status;
  note(tracked, co);
  status = tracked->state != NULL ? close_native(tracked->state, co, from)
                                  : uj_inside_closethread(co, from);
  note(tracked, from);
  return status;
}

/* ---- outside of jobs ------------------------------------------------------
 */

int uj_resume_ground(struct uj_state *S, lua_State *ground, lua_State *from,
                     int nargs)
{
  lua_State *L = S->L;
  int status, nresults;
  lua_sethook(ground, NULL, 0, 0);
  S->L = ground;
  status = lua_resume(ground, from, nargs, &nresults);
  S->L = L;
  return status;
}

int uj_resume_apart(lua_State *L)
{
  int nargs = lua_gettop(L) - 1, nresults, status;
  lua_State *co = lua_newthread(L);
  if (!lua_checkstack(co, nargs + 1))
    return luaL_error(L, "not enough memory");
  lua_insert(L, 1);
  lua_xmove(L, co, nargs + 1);
  status = lua_resume(co, L, nargs, &nresults);
  if (status == LUA_OK)
    return 0;
  if (status == LUA_YIELD)
    return luaL_error(L, "attempt to yield across a C-call boundary");
  lua_xmove(co, L, 1);
  return lua_error(L);
}

int uj_resume_close_itself(lua_State *L)
{
  if (lua_pushthread(L) != 0)
    return luaL_error(L, "cannot close main thread");
  lua_pop(L, 1);
  (void)uj_inside_closethread(L, L);
  return 0;
}
