/* Where our debug hook is.
 *
 * Somebody wants the job that runs to be interrupted: the monitor, by its
 * signal, or whoever lets a job go on that was cancelled while it was
 * preempted. Then `S->hook_wanted` is set, and our hook is set on the coroutine
 * that runs, or moves to the next one of the job that does. A hook of the
 * user's own is put aside meanwhile, and comes back.
 *
 * The hooks themselves stand in files above this one, which knows only their
 * addresses: see struct uj_hooks. */
#ifndef UJ_LUA_ENGINE_HOOK_H
#define UJ_LUA_ENGINE_HOOK_H

#include <lua.h>
#include <stdbool.h>

#include "lua/state/state.h"

struct uj_sched;

/* How a job that does not suspend is interrupted. */
enum uj_interrupt_mode {
  UJ_INTERRUPT_NONE,
  UJ_INTERRUPT_SIGNAL, /* by the monitor */
  UJ_INTERRUPT_COUNT   /* by a hook that is always on */
};

/* The library's three hooks. */
struct uj_hooks {
  lua_Hook interrupt; /* set once for one interruption */
  lua_Hook count;     /* always on where instructions are counted */
  lua_Hook kill;      /* on all that runs of a job that is being killed */
};

struct uj_hook {
  const struct uj_hooks *ours;
  enum uj_interrupt_mode mode;
  bool samples; /* there is a profile: the hook is called when a function
                   returns, too, to see one of C that has taken long */
  volatile bool moving; /* it is being set: the signal handler keeps away */
  lua_State *on;        /* the coroutine that has ours->interrupt, or NULL */
  lua_Hook user_hook;   /* what was on it before, and */
  int user_mask;        /* when that is called */
  int user_count;
};

/* Where instructions are counted: the hook is called once in so many. */
enum { UJ_HOOK_COUNT_EVERY = 1000 };

/* The coroutine of the current job that runs, also if it is one of Lua's own;
 * NULL when none does. */
static inline lua_State *uj_hook_target(const struct uj_state *S)
{
  lua_State *running = S->running, *native = S->native;
  return running != NULL && native != NULL ? native : running;
}

/* Moves the hook to the coroutine that runs now, or away when none does. */
void uj_hook_move(struct uj_state *S);

/* `co` is the coroutine that runs now; NULL when none of a job does. */
static inline void uj_hook_set_running(struct uj_state *S, lua_State *co)
{
  S->running = co;
  if (S->hook_wanted || S->killing)
    uj_hook_move(S);
}

/* The same for one that Lua's own functions have resumed, in the job's; NULL
 * when it has come back. */
static inline void uj_hook_set_native(struct uj_state *S, lua_State *co)
{
  S->native = co;
  if (S->hook_wanted || S->killing)
    uj_hook_move(S);
}

/* For struct uj_watch: called in the signal handler, with the state. */
void uj_hook_on_signal(void *state);

/* Takes the interrupting hook off; nobody wants it any more. */
void uj_hook_take_off(struct uj_state *S);

/* Calls the user's hook, which is put aside, for an event of its own. */
void uj_hook_call_user(const struct uj_hook *self, lua_State *L, lua_Debug *ar);

/* Sets the hook of a job that is being killed. */
void uj_hook_set_kill(struct uj_state *S, lua_State *co);

/* [-0, +0, -] Gives a coroutine the hook that it has as long as nothing happens
 * to its job: that of the caller of run(), and ours when instructions are
 * counted. */
void uj_hook_reset(struct uj_state *S, lua_State *co, bool counted);

/* The same for a coroutine that has inherited a hook of ours from the one that
 * made it, in or outside of run(). */
void uj_hook_reset_stray(struct uj_state *S, lua_State *co);

/* Whether the instructions of jobs of this scheduler are counted. */
bool uj_hook_counts(const struct uj_state *S, const struct uj_sched *sched);

#endif
