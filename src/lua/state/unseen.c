#include "lua/state/unseen.h"

#include "lua/state/sched.h"

/* ---- whether a caller can be known --------------------------------------- */

/* (address of an int): notes how many results are wanted of this call. */
static int note_wanted(lua_State *L)
{
  *(int *)lua_touserdata(L, 1) = uj_inside_wanted_results(L);
  return 0;
}

static bool is_known(lua_State *L, int wanted)
{
  int top = lua_gettop(L), noted = LUA_MULTRET - 1;
  lua_pushcfunction(L, note_wanted);
  lua_pushlightuserdata(L, &noted);
  lua_call(L, 1, wanted);
  lua_settop(L, top);
  return noted == wanted;
}

/* A Lua that somebody has changed may have something else there: then all jobs
 * are made as if their handles were taken. */
void uj_unseen_init(struct uj_state *S, lua_State *L)
{
  S->unseen->knows = is_known(L, 0) && is_known(L, 1) && is_known(L, 2) &&
                     is_known(L, LUA_MULTRET);
  S->unseen->nidle = 0;
  S->unseen->old_id = 0;
  lua_newtable(L);
  uj_hub_set(S->hub, L, UJ_HUB_TYPES);
}

/* ---- the records --------------------------------------------------------- */

void uj_unseen_keep_sched(struct uj_state *S, lua_State *L, int idx)
{
  struct uj_sched *sched = &uj_lsched_at(L, idx)->core;
  if (sched->nunseen == 0) {
    uj_hub_push(S->hub, L, UJ_HUB_TYPES);
    lua_getiuservalue(L, idx, UJ_SCHED_UV_JOB_TYPE);
    lua_rawsetp(L, -2, sched);
    lua_pop(L, 1);
  }
}

/* Whether the record is to be used again: not if it keeps anything but, maybe,
 * results. */
static bool is_wanted(const struct uj_unseen *unseen, const struct uj_ljob *job)
{
  return unseen->nidle < UJ_UNSEEN_IDLE && job->core.id > unseen->old_id &&
         job->core.state == UJ_JOB_DONE && !job->has_extra;
}

static void forget_results(struct uj_state *S, const struct uj_ljob *job)
{
  lua_State *hub = S->hub;
  uj_ljob_push_inside(S, hub, job);
  lua_pushnil(hub);
  uj_ljob_set_value(hub, job, -2);
  lua_pop(hub, 1);
}

void uj_unseen_give(struct uj_state *S, struct uj_ljob *job)
{
  struct uj_unseen *unseen = S->unseen;
  if (!is_wanted(unseen, job)) {
    uj_ljob_release(S, job);
    return;
  }
  uj_ljob_note_seen(S, job);
  if (job->nresults != UJ_RESULTS_NONE)
    forget_results(S, job);
  unseen->idle[unseen->nidle++] = job;
}

void uj_unseen_trim(struct uj_state *S)
{
  struct uj_unseen *unseen = S->unseen;
  while (unseen->nidle > 0)
    uj_slots_drop(&S->jobs, unseen->idle[--unseen->nidle]->slot);
  unseen->old_id = S->loop.last_id;
}
