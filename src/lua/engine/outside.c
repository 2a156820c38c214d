#include "lua/engine/outside.h"

#include "lua/base/inside.h"
#include "lua/engine/hook.h"
#include "lua/engine/resume.h"

/* Whether the function could leave the run by closing the coroutine that it
 * runs in: the one that has called run(). A job's own fails that job only. */
static bool could_leave(const struct uj_state *S, lua_State *L)
{
  bool is_main;
  if (!UJ_INSIDE_CLOSES_ITSELF || L != S->L)
    return false;
  is_main = lua_pushthread(L) != 0;
  lua_pop(L, 1);
  return !is_main;
}

int uj_outside_pcall(struct uj_state *S, lua_State *L, int nargs)
{
  struct uj_ljob *current = S->current;
  lua_State *running = S->running;
  int status;
  S->current = NULL;
  uj_hook_set_running(S, NULL);
  if (could_leave(S, L)) {
    lua_pushcfunction(L, uj_resume_apart);
    lua_insert(L, -2 - nargs);
    nargs++;
  }
  status = lua_pcall(L, nargs, 0, 0);
  S->current = current;
  uj_hook_set_running(S, running);
  return status;
}
