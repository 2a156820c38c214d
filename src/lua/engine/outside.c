#include "lua/engine/outside.h"

#include "lua/engine/hook.h"

int uj_outside_pcall(struct uj_state *S, lua_State *L, int nargs)
{
  struct uj_ljob *current = S->current;
  lua_State *running = S->running;
  int status;
  S->current = NULL;
  uj_hook_set_running(S, NULL);
  status = lua_pcall(L, nargs, 0, 0);
  S->current = current;
  uj_hook_set_running(S, running);
  return status;
}
