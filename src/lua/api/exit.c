#include "lua/api/exit.h"

#include <lualib.h>
#include <stdlib.h>

#include "core/end.h"
#include "core/sched.h"
#include "lua/base/args.h"
#include "lua/engine/ending.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

/* What systems keep of a status. */
enum { MAX_STATUS = 255 };

static int check_status(lua_State *L)
{
  static const struct uj_callee callee = {"exit", 0};
  lua_Integer status;
  int is_integer;
  if (lua_isnoneornil(L, 1))
    return EXIT_SUCCESS;
  if (lua_isboolean(L, 1))
    return lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  status = lua_tointegerx(L, 1, &is_integer);
  if (lua_type(L, 1) != LUA_TNUMBER || !is_integer || status < 0 ||
      status > MAX_STATUS)
    uj_arg_error(L, &callee, 1,
                 lua_pushfstring(L,
                                 "integer from 0 to 255 or boolean expected, "
                                 "got %s",
                                 luaL_tolstring(L, 1, NULL)));
  return (int)status;
}

/* Closes the job that has called exit(). The main job has been closed already.
 */
static int end_caller(struct uj_state *S, lua_State *L)
{
  struct uj_ljob *job = S->current;
  if (job == NULL) /* a callback of luv, or a handler */
    return 0;
  if (job != S->main)
    uj_job_close(&job->core, job->core.sched->close_ns);
  if (S->killing)
    uj_suspend_push_killed(S, L);
  else
    uj_suspend_push_error(S, L, UJ_WAKE_CANCELLED);
  return lua_error(L);
}

/* exit([status]): the first call decides on the status. */
static int l_exit(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  int status = check_status(L);
  if (S->main == NULL)
    return luaL_error(L, "'exit' must be called while 'uvjobs.run' runs (use "
                         "os.exit elsewhere)");
  if (!S->ending->exits)
    S->ending->status = status;
  S->ending->exits = true;
  uj_ending_begin(S);
  return end_caller(S, L);
}

void uj_exit_leave(struct uj_state *S, lua_State *L)
{
  S->ending->exits = false;
  luaL_checkstack(L, LUA_MINSTACK, "uvjobs");
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_OSLIBNAME);
  lua_getfield(L, -1, "exit");
  lua_pushinteger(L, S->ending->status);
  lua_pushboolean(L, 1);
  lua_call(L, 2, 0);
}

const luaL_Reg uj_exit_functions[] = {{"exit", l_exit}, {NULL, NULL}};
