/* Making jobs and admitting them to a scheduler. */
#ifndef UJ_LUA_SPAWN_H
#define UJ_LUA_SPAWN_H

#include <lua.h>

#include "lua/api/order.h"
#include "lua/state/job.h"
#include "lua/state/state.h"

/* [-n, +2, m] Replaces the function at `fn` and its arguments, all that is
 * above it, by a new scheduler without a limit and a job of it for them. The
 * job is kept, but not yet admitted. `name` is the calling function. */
struct uj_ljob *uj_spawn_make_main(struct uj_state *S, lua_State *L, int fn,
                                   const char *name);

/* [-0, +1, m] Makes an occurrence of a repetition: a job of the scheduler at
 * `at` for the three values on the top, which are a function, its argument, and
 * the repetition. */
struct uj_ljob *uj_spawn_make_occurrence(struct uj_state *S, lua_State *L,
                                         int at);
/* [-0, +1, -] Pushes the repetition of an occurrence, which is at idx. */
void uj_spawn_push_repetition(lua_State *L, int idx);

/* [-0, +1, m] Makes the run of a supervised child: a job of the scheduler at
 * `at` for the function at `fn`. Above that are its argument, and then what the
 * job keeps: see enum uj_job_child. */
struct uj_ljob *uj_spawn_make_child(struct uj_state *S, lua_State *L, int at,
                                    int fn);

/* [-0, +0, m] Keeps a new job, which is on the top, and admits it to its
 * scheduler, which is at `at`. If that is UJ_ECLOSED or UJ_EFULL it lets go of
 * the job. The rank counts if the scheduler has an order. */
int uj_spawn_keep_and_admit(struct uj_state *S, lua_State *L, int at,
                            struct uj_ljob *job,
                            const struct uj_rank_options *rank);

/* Methods of a scheduler: spawn([opts,] fn, ...), try_spawn([opts,] fn, ...)
 * and shield(fn, ...). */
int uj_spawn_spawn(lua_State *L);
int uj_spawn_try_spawn(lua_State *L);
int uj_spawn_shield(lua_State *L);

#endif
