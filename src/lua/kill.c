#include "lua/kill.h"

#include "lua/error.h"

/* A hook sees every instruction and every call. An instruction of the job's own
 * functions is not let run: the error is raised instead of it, and again where
 * a pcall caught it. So the only calls that are seen are those that Lua makes
 * by itself while the error travels: of message handlers and of `__close`. Such
 * a call is spared, with all that it calls, for as long as the stack is as deep
 * as it was when it began: `kill_depth`. */

static int stack_depth(lua_State *L)
{
  lua_Debug ar;
  int depth = 0;
  while (lua_getstack(L, depth, &ar))
    depth++;
  return depth;
}

int uj_kill_raise(struct uj_state *S, lua_State *L)
{
  uj_job_push(S, L, S->current);
  return uj_error_raise(L, UJ_CODE_KILLED);
}

static void kill_hook(lua_State *L, lua_Debug *ar)
{
  struct uj_state *S;
  struct uj_ljob *job;
  int depth = stack_depth(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &uj_state_key);
  S = lua_touserdata(L, -1);
  lua_pop(L, 1);
  job = S->current;
  if (ar->event != LUA_HOOKCOUNT) {
    if (job->kill_depth == 0 || depth < job->kill_depth)
      job->kill_depth = depth;
  } else if (job->kill_depth == 0 || depth < job->kill_depth) {
    job->kill_depth = 0;
    uj_kill_raise(S, L);
  }
}

void uj_kill_arm(struct uj_ljob *job)
{
  job->kill_depth = 0;
  lua_sethook(job->thread.co, kill_hook, LUA_MASKCALL | LUA_MASKCOUNT, 1);
}

void uj_kill_disarm(struct uj_ljob *job)
{
  lua_sethook(job->thread.co, NULL, 0, 0);
}
