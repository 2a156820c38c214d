/* The one place that resumes coroutines. Around each lua_resume() it says which
 * coroutine of the job runs, for hooks and for the signal handler. */
#ifndef UJ_LUA_ENGINE_RESUME_H
#define UJ_LUA_ENGINE_RESUME_H

#include <lua.h>
#include <stdbool.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

/* A stretch of a job: resumes its coroutine with `nargs` values of its stack.
 * Returns the status of lua_resume() when the job has suspended or ended. */
int uj_resume_job(struct uj_state *S, struct uj_ljob *job, int nargs,
                  int *nresults);

/* Whether L is the part of the current job that runs. Then a coroutine that it
 * resumes or closes is that part until it has come back. */
static inline bool uj_resume_is_part(const struct uj_state *S, lua_State *L)
{
  return S->current != NULL && S->running == L;
}

/* lua_resume() for a coroutine that `from` resumes. */
int uj_resume_nested(struct uj_state *S, lua_State *co, lua_State *from,
                     int nargs, int *nresults);

/* The same by Lua's own functions: the job can be interrupted in it, but not
 * suspended. */
int uj_resume_native(struct uj_state *S, lua_State *co, lua_State *from,
                     int nargs, int *nresults);

/* uj_inside_closethread() for a coroutine that `from` closes. */
int uj_resume_close(struct uj_state *S, lua_State *co, lua_State *from);

/* Who wants to know which coroutine runs of those that Lua's own functions
 * resume: api/tracked.h. */
struct uj_tracked {
  struct uj_state *state; /* that of uvjobs in this Lua state, or NULL */
  /* Of a worker, if the Lua state is one's. */
  lua_State *volatile running; /* NULL while no code of the program runs */
  void (*enter)(void *arg, lua_State *L); /* L begins, or goes on, to run */
  void *arg;
};

/* lua_resume() and uj_inside_closethread(), which note it. */
int uj_resume_tracked(struct uj_tracked *tracked, lua_State *co,
                      lua_State *from, int nargs, int *nresults);
int uj_resume_close_tracked(struct uj_tracked *tracked, lua_State *co,
                            lua_State *from);

/* [ground: -nargs - 1, +0, -] Resumes a coroutine that belongs to no job, and
 * in which the loop goes on, on top of the job that runs in `from`. Meanwhile
 * it is what S->L is otherwise; it has no hook yet. Returns the status of
 * lua_resume(). */
int uj_resume_ground(struct uj_state *S, lua_State *ground, lua_State *from,
                     int nargs);

/* (fn, ...): calls fn(...), which is no part of a job, in a coroutine of its
 * own, so that no more than that is left when it closes the one it runs in.
 * Returns nothing. */
int uj_resume_apart(lua_State *L);

/* What Lua's own close() does from 5.5 on with the coroutine that runs: it does
 * not return. What has resumed the coroutine puts everything of ours back, as
 * if it had returned; and the job whose own it is fails. */
int uj_resume_close_itself(lua_State *L);

#endif
