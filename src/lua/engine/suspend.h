/* How a function of the module suspends the job that calls it: check, park,
 * yield; and, when the job runs again, look at why. */
#ifndef UJ_LUA_ENGINE_SUSPEND_H
#define UJ_LUA_ENGINE_SUSPEND_H

#include <lua.h>
#include <string.h>

#include "core/job.h"
#include "lua/state/job.h"
#include "lua/state/state.h"

/* Whether the code that runs is directly in a job and may suspend it. */
static inline bool uj_suspend_can(const struct uj_state *S, lua_State *L)
{
  return S->current != NULL && S->running == L && lua_isyieldable(L) &&
         S->chain_yields && S->current->core.wake != UJ_WAKE_KILLED;
}

/* Whether the code that runs is clean-up of a job that is ended by force. It
 * cannot wait for anything, but can still begin it. */
static inline bool uj_suspend_is_killed(const struct uj_state *S, lua_State *L)
{
  return S->current != NULL && S->running == L &&
         S->current->core.wake == UJ_WAKE_KILLED;
}

/* Why nothing can suspend where L runs, in words that follow the name of a
 * function: outside run(), in a callback or a handler, in a coroutine that
 * Lua's own functions have resumed, or across a C call. */
const char *uj_suspend_refusal(const struct uj_state *S, lua_State *L);

/* Raises: `name` cannot suspend here. */
int uj_suspend_refuse(struct uj_state *S, lua_State *L, const char *name);

/* The job that calls; raises when `name` cannot suspend here. */
static inline struct uj_ljob *uj_suspend_check(struct uj_state *S, lua_State *L,
                                               const char *name)
{
  if (!uj_suspend_can(S, L))
    uj_suspend_refuse(S, L, name);
  return S->current;
}

/* The job that calls, which need not be able to suspend; raises when there is
 * none. */
struct uj_ljob *uj_suspend_check_job(struct uj_state *S, lua_State *L,
                                     const char *name);

/* The time that is `span_ns` from now; UJ_NEVER stays what it is. */
static inline uint64_t uj_suspend_due(struct uj_state *S, uint64_t span_ns)
{
  return span_ns == UJ_NEVER ? UJ_NEVER
                             : uj_clock_add(uj_loop_now(&S->loop), span_ns);
}

/* Parks the job and yields; `k` runs afterwards, with the state as its context.
 */
int uj_suspend(lua_State *L, struct uj_ljob *job, struct uj_waitq *waitq,
               uint64_t due_ns, unsigned op, lua_KFunction k);

/* The state in a continuation: the context if that is one of uj_suspend(),
 * which is found without a call; else 0. */
static inline struct uj_state *uj_suspend_state(lua_State *L, lua_KContext ctx)
{
  struct uj_state *S;
  memcpy(&S, &ctx, sizeof(ctx));
  return S != NULL && !S->dead ? S : uj_state(L);
}

/* Whether the calling job must suspend, to be interrupted, even if what it asks
 * for is there. */
static inline bool uj_suspend_needed(const struct uj_ljob *job)
{
  return uj_job_interrupted(&job->core) != UJ_WAKE_OK;
}

/* The job that runs again; raises when its coroutine was resumed by somebody
 * else than us. */
struct uj_ljob *uj_suspend_self(struct uj_state *S, lua_State *L);

/* [-0, +1, m] Pushes `killed`, which is about the current job. */
void uj_suspend_push_killed(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Calls what testing has set, if anything: a deadline is about to
 * be raised in the main job; or a test has taken too long while another job
 * computes. */
void uj_suspend_tell_of_deadline(struct uj_state *S, lua_State *L);

/* [-0, +1, m] Pushes the error for a job that is to end, by UJ_WAKE_CANCELLED
 * or _DEADLINE, and notes that it is raised. When a deadline ends the main job
 * and the hub has a function at UJ_HUB_DEADLINE, calls that: no variable of the
 * job was closed yet. */
void uj_suspend_push_error(struct uj_state *S, lua_State *L, enum uj_wake wake);

/* For the beginning of a continuation: raises `cancelled`, `timeout` or
 * `killed` when that is why the job runs again; returns UJ_WAKE_OK, _TIMEOUT or
 * _CLOSED. */
enum uj_wake uj_suspend_result(struct uj_state *S, lua_State *L);

/* Continuations of functions that have nothing to do when the job runs again,
 * with a context as uj_suspend_state() takes it: they raise as
 * uj_suspend_result() does, and return nothing; or true, or nil and "timeout".
 */
int uj_suspend_return_nothing(lua_State *L, int status, lua_KContext ctx);
int uj_suspend_return_true(lua_State *L, int status, lua_KContext ctx);

#endif
