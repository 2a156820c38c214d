/* The order of a scheduler as Lua has it: its options, the keys of its jobs,
 * which are values of Lua, and the ranks of its jobs. Only a scheduler that
 * uses one of these options, or has a job that does, has any of it: in the
 * metatable of its jobs, where it takes no room otherwise. */
#ifndef UJ_LUA_API_ORDER_H
#define UJ_LUA_API_ORDER_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/order.h"
#include "core/seldom.h"
#include "lua/base/options.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"
#include "lua/state/state.h"

/* A job of a scheduler with an order. It has a user value for its key. */
struct uj_ranked_ljob {
  struct uj_ljob job; /* first */
  struct uj_rank rank;
};

/* uj_host::rank_offset */
#define UJ_RANK_OFFSET \
  (offsetof(struct uj_ranked_ljob, rank) - offsetof(struct uj_ljob, core))

/* What a scheduler is made with. */
struct uj_order_options {
  uint64_t aging_ns; /* UJ_NEVER for no aging */
  uint64_t key_limit;
  double start_rate;    /* UJ_NO_RATE for none */
  uint64_t start_burst; /* 0 when it is not given */
  bool is_fair;
};

/* What a spawn asks for. */
struct uj_rank_options {
  unsigned priority;
  int key; /* index of the key on the stack; 0 for none */
  bool is_unique;
};

void uj_lorder_take_aging(lua_State *L, const struct uj_options_table *options,
                          struct uj_order_options *into);
void uj_lorder_take_fair(lua_State *L, const struct uj_options_table *options,
                         struct uj_order_options *into);
void uj_lorder_take_rate(lua_State *L, const struct uj_options_table *options,
                         struct uj_order_options *into);
void uj_lorder_take_burst(lua_State *L, const struct uj_options_table *options,
                          struct uj_order_options *into);
/* A rate of starts, which is greater than 0; UJ_NO_RATE for math.huge. Returns
 * what was expected, or NULL. */
const char *uj_lorder_read_rate(lua_State *L, int idx, double *rate);
/* [-0, +1, -] Pushes what that reads. */
void uj_lorder_push_rate(lua_State *L, double rate);

/* [-0, +0, m] Gives a new scheduler, at idx, its order, if the options ask for
 * one. */
void uj_lorder_make(lua_State *L, int idx,
                    const struct uj_order_options *options);
/* [-0, +0, m] Gives the scheduler at idx an order if it has none. */
void uj_lorder_need(lua_State *L, int idx);

/* The clock has been changed, and may have gone back: jobs that were pending
 * before have waited from now on. */
void uj_lorder_restart(struct uj_state *S);

/* [-0, +0, m] Raises unless the value on the top can be a key. */
void uj_lorder_take_key(lua_State *L, const struct uj_options_table *options);
/* [-0, +0, m] Raises unless the value on the top is a priority. */
unsigned uj_lorder_take_priority(lua_State *L,
                                 const struct uj_options_table *options);

/* [-0, +0, m] Makes a key that jobs of the scheduler at idx are to have, if it
 * is not there, and room for blocked ones if it is needed. */
void uj_lorder_prepare_key(lua_State *L, int idx, int key, bool may_block);

/* [-0, +0, m] Gives a new job, which is on the top, of the scheduler at idx
 * what was asked for. Its key is used from now on: so nothing must raise until
 * the job is admitted, is blocked, or is let go of by uj_lorder_forget(). */
void uj_lorder_rank(lua_State *L, int idx, struct uj_ljob *job,
                    const struct uj_rank_options *options);

/* [-0, +(0|1), -] Pushes the oldest job that lives of the key at index `key`,
 * or of the key of a job, and returns true; or returns false. */
bool uj_lorder_push_oldest(struct uj_state *S, lua_State *L, int idx, int key);
bool uj_lorder_push_twin(struct uj_state *S, lua_State *L,
                         const struct uj_ljob *job);

/* [-0, +0, -] A job with a rank, which is kept, has ended or is let go of. If
 * it was turned away since there was another one, that becomes its value. */
UJ_SELDOM void uj_lorder_forget(struct uj_state *S, struct uj_ljob *job);

/* [-0, +1, -] Pushes the key of the job at idx, or nil. */
void uj_lorder_push_key(lua_State *L, int idx);

static inline unsigned uj_lorder_priority(const struct uj_ljob *job)
{
  return job->core.ranked ? uj_job_rank(&job->core)->waiter.priority
                          : UJ_LEVEL_DEFAULT;
}

#endif
