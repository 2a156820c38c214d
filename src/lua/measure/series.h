/* The histograms of a scheduler: how long its jobs wait until they start, how
 * long those run that have ended, and how late its jobs wake by a time.
 *
 * A scheduler gets them when one of its jobs runs while times are measured.
 * When it is collected, what it has counted is added to that of all collected
 * schedulers of its name, so that the figures of a name never fall (I10). */
#ifndef UJ_LUA_MEASURE_SERIES_H
#define UJ_LUA_MEASURE_SERIES_H

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

#include "core/sched.h"
#include "lua/state/sched.h"
#include "lua/state/state.h"
#include "measure/histogram.h"

/* Besides the histogram, how many durations are not above 4 us, 16 us and so
 * on: for Prometheus, which wants to add up the same buckets of all processes.
 */
enum { UJ_SERIES_BOUNDS = 15 };

struct uj_series_one {
  struct uj_histogram histogram;
  uint64_t counts[UJ_SERIES_BOUNDS + 1]; /* of each; above the last bound */
};

enum uj_series_kind { UJ_SERIES_WAITED, UJ_SERIES_RAN, UJ_SERIES_LATE };
enum { UJ_SERIES_KINDS = UJ_SERIES_LATE + 1 };

/* Owned by its scheduler; and by the meter when that was collected. */
struct uj_series {
  struct uj_series_one of[UJ_SERIES_KINDS];
  lua_Alloc alloc; /* with which all of it is made */
  void *context;
  char *name; /* of the scheduler; NULL for none */
  size_t name_size;
  /* Of collected schedulers only. */
  struct uj_series *next;
  uint64_t ended[UJ_SCHED_ENDS];
  uint64_t cpu_ns;
  bool is_other; /* of those whose names are too many */

  bool is_told; /* of one that is there: see keep_apart() in series.c */
};

/* The names of the three as Lua has them. */
extern const char *const uj_series_names[UJ_SERIES_KINDS];

/* [-0, +0, -] Gives the scheduler of a job that is kept its histograms. There
 * are none when there is no memory for them. */
void uj_series_attach(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, -] Adds a duration. A page of a histogram begins at a power of two
 * microseconds, and a bound is every second one of these. */
static inline void uj_series_add(struct uj_series *series,
                                 enum uj_series_kind kind, uint64_t span_ns)
{
  struct uj_series_one *one = &series->of[kind];
  struct uj_histogram_place place = uj_histogram_find_ns(span_ns);
  _Static_assert(UJ_HISTOGRAM_PAGES / 2 == UJ_SERIES_BOUNDS + 1, "bounds");
  if (uj_histogram_add_ns(&one->histogram, place, span_ns, series->alloc,
                          series->context))
    one->counts[place.page / 2]++;
}

/* [-0, +0, -] The scheduler is collected. */
void uj_series_retire(struct uj_state *S, struct uj_lsched *sched);
/* [-0, +0, -] Forgets those that were collected. */
void uj_series_term(struct uj_state *S);

/* totals(): see series.c. */
extern const luaL_Reg uj_series_internals[];

#endif
