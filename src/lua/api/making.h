/* Making the records of jobs: userdata, with the function and its arguments. */
#ifndef UJ_LUA_MAKING_H
#define UJ_LUA_MAKING_H

#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* [-0, +1, m] Pushes a new job, not yet admitted: of the scheduler at `at`, for
 * the function at `fn` and the arguments above it. `name` is the calling
 * function. */
struct uj_ljob *uj_make_job(struct uj_state *S, lua_State *L, int at, int fn,
                            const char *name);

/* [-0, +1, m] The same for an unseen job, see state/unseen.h. Stack: scheduler,
 * fn, arguments. The job is kept. */
struct uj_ljob *uj_make_unseen(struct uj_state *S, lua_State *L);

/* [-n, +2, m] Replaces the function at `fn` and its arguments, all that is
 * above it, by a new scheduler without a limit and a job of it for them. The
 * job is kept, but not yet admitted. `name` is the calling function. */
struct uj_ljob *uj_make_main(struct uj_state *S, lua_State *L, int fn,
                             const char *name);

/* [-0, +1, m] Makes an occurrence of a repetition: a job of the scheduler at
 * `at` for the three values on the top, which are a function, its argument, and
 * the repetition. */
struct uj_ljob *uj_make_occurrence(struct uj_state *S, lua_State *L, int at);
/* [-0, +1, -] Pushes the repetition of an occurrence, which is at idx. */
void uj_make_push_repetition(lua_State *L, int idx);

/* [-0, +1, m] Makes the run of a supervised child: a job of the scheduler at
 * `at` for the function at `fn`. Above that are its argument, and then what the
 * job keeps: see enum uj_job_child. */
struct uj_ljob *uj_make_child(struct uj_state *S, lua_State *L, int at, int fn);

#endif
