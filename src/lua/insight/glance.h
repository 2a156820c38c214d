/* What every job waits for, at one moment: lua/uvjobs/insight/ makes its trees
 * and chains of it.
 *
 * The core's own lists say who waits for which job, mutex or scheduler, so that
 * nothing has to be kept for it while nobody looks. */
#ifndef UJ_LUA_INSIGHT_GLANCE_H
#define UJ_LUA_INSIGHT_GLANCE_H

#include <lauxlib.h>
#include <stdint.h>

#include "lua/insight/ages.h"
#include "lua/insight/seen.h"
#include "lua/state/state.h"

struct uj_insight {
  struct uj_ages ages;
  int circles; /* the place on the hub of what set_circles() was given */
};

/* [-0, +0, m] */
void uj_insight_init(struct uj_state *S, lua_State *L);

/* [-0, +1, m] Pushes a list of all jobs, in the order of their numbers: that of
 * the slots depends on what was there before, and a run is to say the same each
 * time (M16). */
void uj_insight_push_jobs(struct uj_state *S, lua_State *L);

/* [-0, +1, m] Pushes a table of what is seen of the job: see
 * lua/uvjobs/insight/look.lua. */
void uj_insight_push_glance(struct uj_state *S, lua_State *L,
                            struct uj_ljob *job, const struct uj_glance *glance,
                            uint64_t now_ns);

/* [-0, +1, m] Pushes lines that name the jobs which wait for each other in a
 * circle, or an empty string when there are none. */
void uj_insight_push_circles(struct uj_state *S, lua_State *L);

/* [-0, +0, -] A driver is about to poll, or has polled; then it is `fresh`: it
 * goes on to run jobs. */
void uj_insight_note_time(struct uj_state *S, bool fresh);

/* glances(), thing(job), permits(job), place(job), sources(watch),
 * total(semaphore), and set_circles(fn): fn() returns what
 * uj_insight_push_circles() pushes. */
extern const luaL_Reg uj_insight_internals[];

#endif
