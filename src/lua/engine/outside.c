#include "lua/engine/outside.h"

#include "loop/driver.h"
#include "loop/signals.h"
#include "lua/base/inside.h"
#include "lua/engine/hook.h"
#include "lua/engine/resume.h"

/* Whether the function could leave the run by closing the coroutine that it
 * runs in, which is the one that has called run(). */
static bool could_leave(lua_State *L)
{
  bool is_main;
  if (!UJ_INSIDE_CLOSES_ITSELF)
    return false;
  is_main = lua_pushthread(L) != 0;
  lua_pop(L, 1);
  return !is_main;
}

/* Whether the interpreter could interrupt the function for SIGINT: the hook by
 * which it does that is on the coroutine that has called run(). The error of
 * that hook is to end the run, and the function's own errors do not. */
static bool could_be_interrupted(const struct uj_state *S)
{
  return S->driver == NULL ||
         !uj_signals_takes_sigint(uj_driver_signals(S->driver));
}

int uj_outside_pcall(struct uj_state *S, lua_State *L, int nargs)
{
  struct uj_ljob *current = S->current;
  lua_State *running = S->running;
  int status;
  S->current = NULL;
  uj_hook_set_running(S, NULL);
  if (L == S->L && (could_be_interrupted(S) || could_leave(L))) {
    lua_pushcfunction(L, uj_resume_apart);
    lua_insert(L, -2 - nargs);
    nargs++;
  }
  status = lua_pcall(L, nargs, 0, 0);
  S->current = current;
  uj_hook_set_running(S, running);
  return status;
}
