#include "lua/engine/announce.h"

#include <lauxlib.h>

#include "lua/base/text.h"
#include "lua/engine/outside.h"

static const char *const names[] = {
    [UJ_ANNOUNCED_START] = "on_start",
    [UJ_ANNOUNCED_END] = "on_end",
};

/* (job, what): calls the function. Its errors are printed here and not by the
 * caller, which cannot make their texts without an error of its own. */
static int announce(lua_State *L)
{
  enum uj_announced what = (enum uj_announced)lua_tointeger(L, 2);
  uj_ljob_push_sched(L, 1);
  uj_lsched_push_announced(L, -1, what);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK)
    return 0;
  uj_text_write_error("error in %s: ", names[what]);
  uj_text_write_error("%s\n", uj_text_push(L, -1, "(%s without a text)"));
  return 0;
}

void uj_announce(struct uj_state *S, const struct uj_ljob *job,
                 enum uj_announced what)
{
  lua_State *L = S->L;
  int status;
  lua_pushcfunction(L, announce);
  uj_ljob_push(S, L, job);
  lua_pushinteger(L, what);
  status = uj_outside_pcall(S, L, 2);
  if (status != LUA_OK && !uj_state_keep_hook_error(S, L, status))
    uj_text_write_error("no memory to call %s\n", names[what]);
}
