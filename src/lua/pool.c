#include "lua/pool.h"

#include "lua/interrupt.h"

/* Idle coroutines are kept up to the number in use, and this many at least:
 * enough for the usual limits, little for the collector to walk over. */
enum { KEEP = 128 };

/* Room for every coroutine to be idle: so that giving one back cannot fail. */
static void reserve_idle(struct uj_state *S, lua_State *L)
{
  uint32_t size = S->idle_size == 0 ? KEEP : S->idle_size * 2;
  if (uj_slots_used(&S->threads) < S->idle_size)
    return;
  S->idle = uj_state_realloc(L, S->idle, S->idle_size * sizeof(*S->idle),
                             size * sizeof(*S->idle));
  S->idle_size = size;
}

/* A function of Lua so that a memory error can be caught. */
static int make_thread(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  struct uj_thread *thread = lua_touserdata(L, 2);
  reserve_idle(S, L);
  thread->co = lua_newthread(L);
  thread->slot = uj_slots_put(&S->threads, S, L);
  return 0;
}

static bool new_thread(struct uj_state *S, struct uj_thread *thread)
{
  lua_State *L = S->L;
  lua_pushcfunction(L, make_thread);
  lua_pushlightuserdata(L, S);
  lua_pushlightuserdata(L, thread);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK)
    return true;
  lua_pop(L, 1);
  thread->co = NULL;
  return false;
}

static void drop(struct uj_state *S, const struct uj_thread *thread)
{
  uj_slots_drop(&S->threads, S, thread->slot);
}

static bool too_many(const struct uj_state *S)
{
  return S->nidle > KEEP && S->nidle > uj_slots_used(&S->threads) - S->nidle;
}

/* A hook that a job has set on itself is not for the next one; and the caller
 * of run() may have got one, or lost it, since the coroutine was used last. */
static void refresh_hook(struct uj_state *S, lua_State *co, bool counted)
{
  if (counted || lua_gethook(co) != NULL || lua_gethook(S->L) != NULL)
    uj_interrupt_reset_hook(S, co, counted);
}

bool uj_pool_take(struct uj_state *S, struct uj_thread *thread, bool counted)
{
  if (S->nidle > 0)
    *thread = S->idle[--S->nidle];
  else if (!new_thread(S, thread))
    return false;
  refresh_hook(S, thread->co, counted);
  return true;
}

void uj_pool_give(struct uj_state *S, struct uj_thread *thread)
{
  refresh_hook(S, thread->co, false);
  S->idle[S->nidle++] = *thread;
  thread->co = NULL;
  if (too_many(S))
    drop(S, &S->idle[--S->nidle]);
}

void uj_pool_trim(struct uj_state *S)
{
  while (too_many(S))
    drop(S, &S->idle[--S->nidle]);
}
