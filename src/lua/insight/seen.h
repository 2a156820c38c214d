/* What every job waits for at one moment, as numbers, in the order of the
 * jobs' numbers. It is read from the core's own lists, some ten nanoseconds for
 * each job; what Lua is told of it takes a hundred times as long. */
#ifndef UJ_LUA_INSIGHT_SEEN_H
#define UJ_LUA_INSIGHT_SEEN_H

#include <lauxlib.h>
#include <stdint.h>

#include "lua/state/state.h"

struct uj_ljob;
struct uj_sched;

struct uj_glance {
  uint64_t id;    /* 0: there was no job in this slot */
  uint64_t other; /* the number of the job that it waits for; or 0 */
  uint64_t due_ns;
  struct uj_sched *sched; /* that it waits for, or NULL */
  const char *word;
  uint32_t slot;
};

/* [-0, +1, m] Pushes an array of what is seen, of `n` elements. Nothing is
 * allocated while it looks, so all of it is from one moment. */
struct uj_glance *uj_seen_push(struct uj_state *S, lua_State *L, uint32_t *n);

/* The job that was seen, or NULL when it has ended meanwhile. */
struct uj_ljob *uj_seen_job(struct uj_state *S, const struct uj_glance *glance);

#endif
