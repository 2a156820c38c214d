/* The coroutines that jobs run in. One that has ended its job is used again
 * for the next: that costs a fraction of making and collecting one.
 *
 * Only those are kept for it that are soon needed. So a coroutine that was made
 * for a job hangs on that alone, as its value (see job.h), and its co_slot is
 * 0. When it is first kept it gets a slot, for as long as it is in the pool. */
#ifndef UJ_LUA_ENGINE_POOL_H
#define UJ_LUA_ENGINE_POOL_H

#include <stdbool.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* A coroutine that waits for its next job. */
struct uj_thread {
  lua_State *co;
  uint32_t slot; /* in uj_pool::slots */
};

struct uj_pool {
  struct uj_slots slots;  /* the coroutines that are used again and again */
  struct uj_thread *idle; /* those without a job */
  uint32_t nidle;
  uint32_t idle_size; /* places in `idle`: at least as many as used slots */
  uint32_t used;      /* coroutines with a job */
  uint32_t peak;      /* the most of them since the last burst was over */
  uint64_t old_id;    /* of the last job that was there then */
};

/* `co` is the caller's to keep. */
void uj_pool_init(struct uj_pool *pool, lua_State *co);
void uj_pool_term(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Gives a job its coroutine; false when there is no memory for one.
 * Its instructions are counted or not: see hook.h. The job's function is
 * moved to a new one, as its first value. */
bool uj_pool_take(struct uj_state *S, struct uj_ljob *job, bool counted);

/* [-0, +0, -] Takes it, with an empty stack, from a job that has ended. */
void uj_pool_give(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, -] Gives a job's coroutine a slot, so that nothing else has to keep
 * it. It has none afterwards when there is no memory for that. */
void uj_pool_keep(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, -] Lets go of the coroutines that are not soon needed. */
void uj_pool_trim(struct uj_state *S);

/* [-0, +0, m] Gives the memory back that a burst took for their slots. */
void uj_pool_compact(struct uj_state *S, lua_State *L);

#endif
