#include "lua/engine/pool.h"

#include "lua/base/alloc.h"
#include "lua/engine/hook.h"
#include "lua/state/unseen.h"

/* How many idle coroutines are kept: this many, which is enough for the usual
 * limits and little for the collector to walk over; or, with many jobs, one for
 * so many of them. */
enum { KEEP = 128, KEEP_ONE_FOR = 8 };

/* A burst is over when there were so many jobs and only one in so many is left.
 * Then no coroutine of it is kept, not even of the jobs that are left: they lie
 * all over the memory that the burst took, and none of it could be given back.
 */
enum { BURST = 1024, BURST_LEFT = 16 };

void uj_pool_init(struct uj_pool *pool, lua_State *co)
{
  uj_slots_init(&pool->slots, co);
  pool->idle = NULL;
  pool->nidle = 0;
  pool->idle_size = 0;
  pool->used = 0;
  pool->peak = 0;
  pool->old_id = 0;
}

void uj_pool_term(struct uj_state *S, lua_State *L)
{
  struct uj_pool *pool = S->pool;
  uj_alloc_free(L, pool->idle, pool->idle_size * sizeof(*pool->idle));
  uj_slots_term(&pool->slots, L);
  uj_pool_init(pool, pool->slots.co);
}

/* The caller of run() may have set its hook, or taken it off, since the
 * coroutine was used last. */
static void refresh_hook(struct uj_state *S, lua_State *co, bool counted)
{
  if (counted || lua_gethook(co) != NULL || lua_gethook(S->L) != NULL)
    uj_hook_reset(S, co, counted);
}

/* ---- taking ------------------------------------------------------------- */

/* (state, job). It is called by lua_pcall(), which catches a memory error; what
 * can fail comes first. */
static int make_thread(lua_State *L)
{
  struct uj_ljob *job = lua_touserdata(L, 2);
  lua_State *co = lua_newthread(L);
  uj_ljob_push_inside(lua_touserdata(L, 1), L, job);
  uj_ljob_get_value(L, job, -1);
  lua_xmove(L, co, 1);
  lua_insert(L, -2);
  uj_ljob_set_value(L, job, -2);
  job->co = co;
  return 0;
}

/* The error of a hook ends the run, but not this job. */
static bool new_thread(struct uj_state *S, struct uj_ljob *job)
{
  lua_State *L = S->L;
  int status;
  for (int tries = 0; tries < 2; tries++) {
    lua_pushcfunction(L, make_thread);
    lua_pushlightuserdata(L, S);
    lua_pushlightuserdata(L, job);
    status = lua_pcall(L, 2, 0, 0);
    if (status == LUA_OK)
      return true;
    if (!uj_state_keep_hook_error(S, L, status))
      break;
  }
  return false;
}

bool uj_pool_take(struct uj_state *S, struct uj_ljob *job, bool counted)
{
  struct uj_pool *pool = S->pool;
  if (pool->nidle > 0) {
    const struct uj_thread *thread = &pool->idle[--pool->nidle];
    job->co = thread->co;
    job->co_slot = thread->slot;
  } else if (!new_thread(S, job))
    return false;
  if (++pool->used > pool->peak)
    pool->peak = pool->used;
  refresh_hook(S, job->co, counted);
  return true;
}

/* ---- keeping ------------------------------------------------------------ */

/* Makes room for all of them to be idle, so that giving one back cannot fail.
 */
static void reserve_idle(struct uj_pool *pool, lua_State *L)
{
  uint32_t size = pool->idle_size == 0 ? KEEP : pool->idle_size * 2;
  if (uj_slots_used(&pool->slots) < pool->idle_size)
    return;
  pool->idle =
      uj_alloc_resize(L, pool->idle, pool->idle_size * sizeof(*pool->idle),
                      size * sizeof(*pool->idle));
  pool->idle_size = size;
}

/* (state, job, its coroutine) */
static int keep(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  struct uj_ljob *job = lua_touserdata(L, 2);
  uint32_t slot = uj_slots_put(&S->pool->slots, L);
  job->co_slot = slot;
  reserve_idle(S->pool, L);
  return 0;
}

void uj_pool_keep(struct uj_state *S, struct uj_ljob *job)
{
  lua_State *L = S->L;
  int status;
  if (job->co_slot != 0)
    return;
  lua_pushcfunction(L, keep);
  lua_pushlightuserdata(L, S);
  lua_pushlightuserdata(L, job);
  lua_pushthread(job->co);
  lua_xmove(job->co, L, 1);
  status = lua_pcall(L, 3, 0, 0);
  if (status == LUA_OK)
    return;
  (void)uj_state_keep_hook_error(S, L, status);
  if (job->co_slot != 0)
    uj_slots_drop(&S->pool->slots, job->co_slot);
  job->co_slot = 0;
}

/* ---- giving back -------------------------------------------------------- */

static bool are_enough(const struct uj_pool *pool, uint32_t nidle)
{
  return nidle >= KEEP && nidle >= pool->used / KEEP_ONE_FOR;
}

void uj_pool_give(struct uj_state *S, struct uj_ljob *job)
{
  struct uj_pool *pool = S->pool;
  pool->used--;
  if (job->core.id > pool->old_id && !are_enough(pool, pool->nidle))
    uj_pool_keep(S, job);
  else if (job->co_slot != 0) {
    uj_slots_drop(&pool->slots, job->co_slot);
    job->co_slot = 0;
  }
  if (job->co_slot != 0) {
    if (lua_gethook(job->co) != NULL) /* maybe of the job's own */
      uj_hook_reset(S, job->co, false);
    pool->idle[pool->nidle++] = (struct uj_thread){job->co, job->co_slot};
    job->co_slot = 0;
  }
  job->co = NULL;
}

static void drop_idle(struct uj_pool *pool)
{
  uj_slots_drop(&pool->slots, pool->idle[--pool->nidle].slot);
}

static bool burst_is_over(const struct uj_pool *pool)
{
  return pool->peak >= BURST && pool->used <= pool->peak / BURST_LEFT;
}

void uj_pool_trim(struct uj_state *S)
{
  struct uj_pool *pool = S->pool;
  while (pool->nidle > 0 && are_enough(pool, pool->nidle - 1))
    drop_idle(pool);
  if (!burst_is_over(pool))
    return;
  while (pool->nidle > 0)
    drop_idle(pool);
  pool->peak = pool->used;
  pool->old_id = S->loop.last_id;
  uj_unseen_trim(S);
}

/* Each coroutine that has a slot is idle or has a job: both are told its new
 * slot. Making the map can run finalizers, which can spawn and so take slots.
 */
void uj_pool_compact(struct uj_state *S, lua_State *L)
{
  struct uj_pool *pool = S->pool;
  uint32_t next = pool->slots.next, *map;
  if (!uj_slots_sparse(&pool->slots))
    return;
  map = lua_newuserdatauv(L, next * sizeof(*map), 0);
  if (pool->slots.next != next)
    return;
  uj_slots_compact(&pool->slots, L, map);
  for (uint32_t i = 0; i < pool->nidle; i++)
    pool->idle[i].slot = map[pool->idle[i].slot];
  for (uint32_t slot = 1; slot < S->jobs.next; slot++) {
    struct uj_ljob *job = uj_state_job(S, slot);
    if (job != NULL && job->co_slot != 0)
      job->co_slot = map[job->co_slot];
  }
}
