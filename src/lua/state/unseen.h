/* Jobs that no program knows: what spawn() returns was not taken, and nothing
 * has asked for the job since. The record of such a job is used again for
 * another one when it has ended, so that it costs no memory, and the collector
 * nothing.
 *
 * An unseen job has no metatable, because what is set can only be taken back by
 * setting it again. So it does not keep its scheduler, either: while there are
 * any (uj_sched::nunseen), the table UJ_HUB_TYPES has the metatable of the jobs
 * of that scheduler, which refers to it, at its address. A job ceases to be
 * unseen when uj_ljob_push() pushes it, which gives it that metatable. */
#ifndef UJ_LUA_STATE_UNSEEN_H
#define UJ_LUA_STATE_UNSEEN_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/base/inside.h"
#include "lua/state/job.h"
#include "lua/state/state.h"

/* So many records are kept at most, which is enough for the usual limits; and
 * those of jobs with more arguments are not used again. */
enum { UJ_UNSEEN_IDLE = 128, UJ_UNSEEN_ARGS = 7 };

struct uj_unseen {
  struct uj_ljob *idle[UJ_UNSEEN_IDLE]; /* they have slots, like jobs */
  uint32_t nidle;
  uint64_t old_id; /* of the last job that there was when a burst was over */
  bool knows;      /* what uj_inside_wanted_results() says is right */
};

/* [-0, +0, m] */
void uj_unseen_init(struct uj_state *S, lua_State *L);

/* Whether the caller of the function in C that runs drops what it returns. */
static inline bool uj_unseen_is_dropped(const struct uj_state *S, lua_State *L)
{
  return S->unseen->knows && uj_inside_wanted_results(L) == 0;
}

/* Whether there is an idle record with room for so many arguments. */
static inline bool uj_unseen_can_take(const struct uj_state *S, unsigned nargs)
{
  const struct uj_unseen *unseen = S->unseen;
  return unseen->nidle > 0 &&
         unseen->idle[unseen->nidle - 1]->core.room >= nargs;
}

/* Takes it. */
static inline struct uj_ljob *uj_unseen_take(struct uj_state *S)
{
  return S->unseen->idle[--S->unseen->nidle];
}

/* [-0, +0, m] Has the scheduler at idx kept while it has unseen jobs, of which
 * there will be one more. */
void uj_unseen_keep_sched(struct uj_state *S, lua_State *L, int idx);

/* [-0, +0, -] An unseen job has ended. */
void uj_unseen_give(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, -] A burst of jobs is over: lets go of all idle records, and of
 * those of the jobs that are left when they end. They lie all over the memory
 * that the burst took, and none of it could be given back. */
void uj_unseen_trim(struct uj_state *S);

/* The number of jobs that live. */
static inline uint32_t uj_unseen_count_jobs(const struct uj_state *S)
{
  return uj_slots_used(&S->jobs) - S->unseen->nidle;
}

#endif
