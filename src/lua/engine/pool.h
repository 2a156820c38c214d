/* The coroutines that jobs run in. When a job has ended, its coroutine is used
 * again for another one, which costs a fraction of making and collecting one.
 *
 * The pool keeps only as many as will soon be needed. So a coroutine that was
 * made for a job is at first kept by that job alone, as its value (see job.h),
 * and the job's co_slot is 0. When the pool first keeps it, it gets a slot for
 * as long as it is in the pool. */
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
  uint64_t old_id;    /* the id of the last job that was there then */
};

/* `co` is the caller's to keep. */
void uj_pool_init(struct uj_pool *pool, lua_State *co);
void uj_pool_term(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Gives a job its coroutine, whose instructions are counted or not:
 * see hook.h. If it is a new one, the job's function is moved to it, as its
 * first value. Returns false when there is no memory for one. */
bool uj_pool_take(struct uj_state *S, struct uj_ljob *job, bool counted);

/* [-0, +0, -] Takes the coroutine, whose stack is empty, from a job that has
 * ended. */
void uj_pool_give(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, -] Gives a job's coroutine a slot, so that nothing else has to keep
 * it, if there is memory for that. */
void uj_pool_keep(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, -] Lets go of the coroutines that will not soon be needed. */
void uj_pool_trim(struct uj_state *S);

/* [-0, +0, m] Gives the memory back that a burst of jobs took for slots. */
void uj_pool_compact(struct uj_state *S, lua_State *L);

#endif
