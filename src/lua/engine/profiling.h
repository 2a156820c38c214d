/* A profile: where jobs compute, by samples (insight.profile).
 *
 * So many times a second the monitor interrupts the thread if a job runs, and
 * the hook adds the stack of the job to a table. While a function of C runs the
 * hook has to wait for it: it is called when that function returns, sees it
 * still on the stack, and counts the sample as often as one was due meanwhile.
 *
 * The table is not Lua's, so that sampling collects no garbage of the program.
 */
#ifndef UJ_LUA_ENGINE_PROFILING_H
#define UJ_LUA_ENGINE_PROFILING_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/state/state.h"

/* So many different stacks are told apart; all others are counted as one. */
enum { UJ_PROFILING_STACKS = 16384, UJ_PROFILING_TEXT = 4096 };

struct uj_profiling {
  struct uj_profiled *slots; /* by hash; NULL while there is no profile */
  uint32_t count;            /* of slots that are used */
  uint64_t others;
  uint64_t period_ns; /* 0 while there is no profile */
  uint64_t next_ns;   /* where instructions are counted: the next sample */
};

/* [-0, +0, -] For the hook on the coroutine L of the current job: takes a
 * sample if it is time. Returns whether it was. */
bool uj_profiling_look(struct uj_state *S, lua_State *L);
/* The same where there is no monitor. */
void uj_profiling_count(struct uj_state *S, lua_State *L, uint64_t now_ns);

/* Forgets all. */
void uj_profiling_term(struct uj_state *S);

/* profile_start(rate): returns false if there is a profile already;
 * profile_stop(): a table of the samples by stacks, or nil. */
extern const luaL_Reg uj_profiling_internals[];

#endif
