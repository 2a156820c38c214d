/* The coroutines that a job has nested: those that it resumed by the functions
 * of uvjobs.coroutine (api/coroutine.c). Such a one is a part of the job as
 * long as it runs. When a function in it suspends the job, it yields to the one
 * that resumed it, and that yields on, up to the job's own coroutine; when the
 * job goes on, each of them resumes the next one again. Any other yield is the
 * coroutine's own, to its consumer.
 *
 * The table at UJ_HUB_NESTED has weak keys and knows the mark of each coroutine
 * that takes part:
 *   - a coroutine: the job is parked, and this is the one that it has resumed;
 *   - true:        the job is parked in it, the innermost one;
 *   - a scope:     it is suspended by a yield of its own, and this is the
 *                  innermost scope that it has open;
 *   - false:       anything else.
 * The entry is made before anything can suspend, so that marking does not
 * allocate. */
#ifndef UJ_LUA_ENGINE_NEST_H
#define UJ_LUA_ENGINE_NEST_H

#include <lua.h>
#include <stdbool.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

struct uj_scope;

/* A nested coroutine while it runs, on the C stack of the function that resumed
 * it. Its scopes hold only for so long. */
struct uj_nest {
  struct uj_nest *outer;
  lua_State *co;
  struct uj_scope *scope; /* the innermost that it has open, or NULL */
};

/* [-0, +0, m] Makes the table of marks. */
void uj_nest_register(struct uj_state *S, lua_State *L);

/* ---- marks --------------------------------------------------------------- */

/* [-1, +0, m] Makes the entry of the coroutine on the top, if it has none. */
void uj_nest_reserve(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Whether the job of the coroutine at idx is parked in it. */
bool uj_nest_is_parked(struct uj_state *S, lua_State *L, int idx);

/* [-0, +0, -] The job is parked in the coroutine at idx, which L has resumed;
 * and it goes on there. */
void uj_nest_mark(struct uj_state *S, lua_State *L, int idx);
void uj_nest_unmark(struct uj_state *S, lua_State *L, int idx);

/* [-0, +0, -] The coroutine at idx has yielded by itself while it had this
 * scope open. */
void uj_nest_keep_scope(struct uj_state *S, lua_State *L, int idx,
                        struct uj_scope *scope);

/* [-0, +0, -] The innermost scope that the coroutine at idx has yielded in, or
 * NULL. It goes on there: the mark is taken off. */
struct uj_scope *uj_nest_take_scope(struct uj_state *S, lua_State *L, int idx);

/* [-0, +0, -] A coroutine has left a scope while it was not a part of its job:
 * this is the innermost one now, or NULL. */
void uj_nest_set_scope(struct uj_state *S, lua_State *co,
                       struct uj_scope *scope);

/* ---- the coroutines of a job --------------------------------------------- */

/* [-0, +0, -] The coroutine in which a parked job waits: its own, or one that
 * it resumed. */
lua_State *uj_nest_parked(struct uj_state *S, const struct uj_ljob *job);

/* [-0, +0, -] Closes a job's coroutine that has not ended, and before it those
 * that it waits in. */
void uj_nest_close(struct uj_state *S, const struct uj_ljob *job,
                   lua_State *from);

/* [-0, +0, -] Closes the coroutines of a job that runs, or is covered, and
 * never goes on: the Lua state is being closed from within it. `nest` is the
 * innermost of those that the job has nested. */
void uj_nest_close_running(const struct uj_nest *nest,
                           const struct uj_ljob *job, lua_State *from);

/* [-0, +1, m] Pushes the stacks of a job's coroutine and of those that it waits
 * in, the innermost first, after a text (or NULL). `skip` is UJ_NEST_PARKED; or
 * the job runs in L, and this is how many of the innermost calls are left out.
 */
enum { UJ_NEST_PARKED = -1 };
void uj_nest_push_traceback(struct uj_state *S, lua_State *L,
                            const struct uj_ljob *job, int skip,
                            const char *text);

/* [-0, +0, -] Keeps the same as the job's field `traceback`, while its stack is
 * there. Without memory for it the job has none: that must not cost an error
 * its identity. */
void uj_nest_keep_traceback(struct uj_state *S, lua_State *L,
                            struct uj_ljob *job, int skip);

#endif
