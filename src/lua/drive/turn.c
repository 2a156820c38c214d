#include "lua/drive/turn.h"

#include "core/turn.h"
#include "loop/driver.h"
#include "lua/api/date.h"
#include "lua/base/record.h"
#include "lua/engine/ending.h"
#include "lua/engine/pool.h"
#include "lua/state/job.h"
#include "lua/state/unseen.h"
#include "lua/supervisor/children.h"

int uj_drive_open(struct uj_state *S)
{
  int error = S->driver == NULL ? uj_driver_new(&S->driver) : 0;
  if (error == 0)
    uj_date_watch(S); /* what was begun without a driver */
  return error;
}

/* (state) */
static int trim(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  if (uj_slots_sparse(&S->jobs)) {
    uj_unseen_trim(S);
    uj_slots_compact(&S->jobs, L, NULL);
    for (uint32_t slot = 1; slot < S->jobs.next; slot++)
      uj_state_job(S, slot)->slot = slot;
  }
  if (uj_slots_sparse(&S->records))
    uj_records_compact(&S->records, L);
  uj_pool_compact(S, L);
  return 0;
}

void uj_drive_trim(struct uj_state *S, lua_State *L)
{
  int status;
  if (!uj_slots_sparse(&S->jobs) && !uj_slots_sparse(&S->records) &&
      !uj_slots_sparse(&S->pool->slots))
    return;
  lua_pushcfunction(L, trim);
  lua_pushlightuserdata(L, S);
  status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK)
    (void)uj_state_keep_hook_error(S, L, status);
}

/* Only a new scheduler makes it necessary to look at all of them again. */
void uj_drive_close_rest(struct uj_state *S, lua_State *L)
{
  struct uj_ending *ending = S->ending;
  if (!ending->closes_rest)
    uj_loop_close(&S->loop, UJ_NEVER);
  ending->closes_rest = true;
  if (ending->scheds_seen == S->loop.nscheds)
    return;
  ending->scheds_seen = S->loop.nscheds;
  uj_loop_close_open(&S->loop);
  uj_children_stop(S, L);
}

void uj_drive_turn(struct uj_state *S, lua_State *L)
{
  uj_loop_turn(&S->loop);
  uj_pool_trim(S);
  uj_drive_trim(S, L);
}
