#include "lua/state/state.h"

#include <string.h>

#include "loop/driver.h"
#include "lua/api/coroutine.h"
#include "lua/api/job.h"
#include "lua/api/work.h"
#include "lua/drive/options.h"
#include "lua/engine/interrupt.h"
#include "lua/engine/pool.h"
#include "lua/host.h"

#define STATE_TYPE "uvjobs.State"

const char uj_state_key;

struct uj_state *uj_state(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, lua_upvalueindex(1));
  if (S->dead)
    luaL_error(L, "the Lua state is closing: uvjobs has ended");
  return S;
}

struct uj_state *uj_state_registered(lua_State *L)
{
  struct uj_state *S;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &uj_state_key);
  S = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return S;
}

void *uj_state_realloc(lua_State *L, void *block, size_t old_size,
                       size_t new_size)
{
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  void *result = alloc(ud, block, old_size, new_size);
  if (result == NULL)
    luaL_error(L, "not enough memory");
  return result;
}

void uj_state_release(lua_State *L, void *block, size_t size)
{
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  if (block != NULL)
    alloc(ud, block, size, 0);
}

struct uj_ljob *uj_state_job(struct uj_state *S, uint32_t slot)
{
  struct uj_ljob *job;
  uj_slots_push(&S->jobs, S->hub, slot);
  job = lua_touserdata(S->hub, -1);
  lua_pop(S->hub, 1);
  return job;
}

/* Runs the to-be-closed variables of every suspended job. */
static void kill_jobs(struct uj_state *S, lua_State *L)
{
  for (uint32_t slot = 1; slot < S->jobs.next; slot++) {
    struct uj_ljob *job = uj_state_job(S, slot);
    if (job != NULL && job->co != NULL && job != S->current)
      uj_coroutine_close(S, job, L);
  }
}

/* The Lua state closes. Nothing of it is collected before this has returned,
 * but functions of ours may still be called after it. */
static int state_gc(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  if (S->dead)
    return 0;
  S->dead = true;
  uj_interrupt_stop(S);
  kill_jobs(S, L);
  uj_work_end(S);
  uj_pool_term(S, L);
  uj_slots_term(&S->jobs, L);
  if (S->driver != NULL)
    uj_driver_free(S->driver);
  S->driver = NULL;
  return 0;
}

/* [-0, +0, m] The state at idx keeps the hub, and the hub its tables. */
static void make_hub(lua_State *L, int idx, struct uj_state *S)
{
  lua_State *hub = lua_newthread(L);
  luaL_checkstack(L, UJ_HUB_TOP, "uvjobs");
  if (!lua_checkstack(hub, UJ_HUB_TOP + LUA_MINSTACK))
    luaL_error(L, "not enough memory");
  lua_setiuservalue(L, idx, UJ_STATE_UV_HUB);
  uj_slots_init(&S->jobs, lua_newthread(L));            /* UJ_HUB_JOBS */
  uj_pool_init(&S->pool, lua_newthread(L));             /* UJ_HUB_POOL */
  luaL_newmetatable(L, UJ_JOB_TYPE);                    /* UJ_HUB_JOB_TYPE */
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE); /* UJ_HUB_LOADED */
  lua_pushliteral(L, "not enough memory");              /* UJ_HUB_NO_MEMORY */
  lua_pushliteral(L, UJ_FOREIGN_YIELD); /* UJ_HUB_FOREIGN_YIELD */
  lua_pushliteral(L, "luv");            /* UJ_HUB_LUV_NAME */
  lua_pushliteral(L, "nowait");         /* UJ_HUB_NOWAIT */
  for (int i = UJ_HUB_LUV; i <= UJ_HUB_TOP; i++)
    lua_pushnil(L);
  lua_xmove(L, hub, UJ_HUB_TOP);
  S->hub = hub;
}

struct uj_state *uj_state_new(lua_State *L)
{
  struct uj_state *S = lua_newuserdatauv(L, sizeof(*S), UJ_STATE_UV_TYPES);
  S->heap = NULL;
  S->hub = NULL;
  S->L = NULL;
  S->running = NULL;
  S->current = NULL;
  S->main = NULL;
  S->driver = NULL;
  S->workers = NULL;
  S->working = 0;
  S->virtual_ns = 0;
  S->looked_ns = 0;
  S->looked_ticks = 0;
  S->clock_ns = 0;
  S->signal = 0;
  S->kill_inner = NULL;
  S->pcall = NULL;
  S->xpcall = NULL;
  S->in_hookerror = false;
  S->kill_begun = false;
  S->killing = false;
  S->nest = NULL;
  S->chain_yields = true;
  memset(&S->interrupt, 0, sizeof(S->interrupt));
  memset(&S->stats, 0, sizeof(S->stats));
  uj_drive_options_init(&S->embed);
  memset(&S->fault, 0, sizeof(S->fault));
  memset(&S->cqueues, 0, sizeof(S->cqueues));
  S->embedded = false;
  S->luv_is_host = false;
  S->is_virtual = false;
  S->debug = false;
  S->dead = false;
  uj_loop_init(&S->loop, &uj_host);
  make_hub(L, lua_gettop(L), S);
  luaL_newmetatable(L, STATE_TYPE);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  return S;
}

void uj_state_trim(struct uj_state *S, lua_State *L)
{
  if (uj_slots_sparse(&S->jobs)) {
    uj_slots_compact(&S->jobs, L, NULL);
    for (uint32_t slot = 1; slot < S->jobs.next; slot++)
      uj_state_job(S, slot)->slot = slot;
  }
  uj_pool_compact(S, L);
}

void uj_state_set_functions(lua_State *L, int state, const luaL_Reg *functions)
{
  lua_pushvalue(L, state);
  luaL_setfuncs(L, functions, 1);
}

void uj_state_keep_error(struct uj_state *S, lua_State *L)
{
  if (!lua_isnil(S->hub, UJ_HUB_ERROR)) {
    lua_pop(L, 1);
    return;
  }
  lua_xmove(L, S->hub, 1);
  lua_replace(S->hub, UJ_HUB_ERROR);
}
