#include "lua/engine/resume.h"

#include "lua/engine/hook.h"
#include "lua/engine/killing.h"
#include "lua/engine/stretch.h"

int uj_resume_job(struct uj_state *S, struct uj_ljob *job, int nargs,
                  int *nresults)
{
  int status;
  S->current = job;
  job->resumes++;
  uj_watch_tick(&S->watch);
  if (job->core.op == UJ_OP_PREEMPTED)
    uj_stretch_go_on(S);
  uj_hook_run(S, job->co);
  status = lua_resume(job->co, S->L, nargs, nresults);
  uj_hook_run(S, NULL);
  uj_watch_tick(&S->watch);
  S->current = NULL;
  return status;
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
  bool yields = S->chain_yields, counted;
  int status, depth;
  if (S->current == NULL || S->running != from)
    return lua_resume(co, from, nargs, nresults);
  S->chain_yields = yields && lua_isyieldable(from);
  depth = S->killing ? uj_killing_go_in(S) : 0;
  counted = begin_to_count(S, co);
  uj_hook_run(S, co);
  status = lua_resume(co, from, nargs, nresults);
  uj_hook_run(S, from);
  if (counted)
    lua_sethook(co, NULL, 0, 0);
  if (S->killing) {
    lua_sethook(co, NULL, 0, 0);
    uj_killing_come_out(S, depth);
  }
  S->chain_yields = yields;
  return status;
}
