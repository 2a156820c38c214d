#include "lua/state/sched.h"

#include <lauxlib.h>

#include "lua/state/job.h"

const char uj_sched_tag[] = UJ_SCHED_TYPE;

/* [-0, +0, m] Gives the scheduler on the top the metatable of its jobs: a copy
 * of the common one which refers to the scheduler. */
static void make_job_type(struct uj_state *S, lua_State *L)
{
  int sched = lua_gettop(L);
  uj_hub_push(S->hub, L, UJ_HUB_JOB_TYPE);
  uj_object_push_copy(L, UJ_JOB_TYPE_SCHED);
  lua_pushvalue(L, sched);
  lua_rawseti(L, -2, UJ_JOB_TYPE_SCHED);
  lua_setiuservalue(L, sched, UJ_SCHED_UV_JOB_TYPE);
  lua_settop(L, sched);
}

struct uj_lsched *uj_lsched_new(struct uj_state *S, lua_State *L)
{
  struct uj_lsched *sched =
      lua_newuserdatauv(L, sizeof(*sched), UJ_SCHED_UV_COUNT);
  uj_object_init_counted(&sched->object, uj_sched_tag);
  sched->cpu_ns = 0;
  sched->announces_starts = false;
  sched->announces_ends = false;
  sched->nursery = false;
  sched->failed = NULL;
  uj_sched_init(&sched->core, &S->loop);
  luaL_setmetatable(L, UJ_SCHED_TYPE);
  make_job_type(S, L);
  return sched;
}

void uj_lsched_push_announced(lua_State *L, int idx, enum uj_announced what)
{
  lua_getiuservalue(L, idx, UJ_SCHED_UV_JOB_TYPE);
  lua_rawgeti(L, -1, what);
  lua_remove(L, -2);
}

void uj_lsched_set_announced(lua_State *L, int idx, enum uj_announced what)
{
  struct uj_lsched *sched = uj_lsched_at(L, idx);
  lua_getiuservalue(L, idx, UJ_SCHED_UV_JOB_TYPE);
  lua_insert(L, -2);
  lua_rawseti(L, -2, what);
  lua_pop(L, 1);
  if (what == UJ_ANNOUNCED_START)
    sched->announces_starts = true;
  else
    sched->announces_ends = true;
}
