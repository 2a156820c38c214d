/* The Lua side of a repetition: userdata `uvjobs.Repeating`, and its
 * occurrences, which are ordinary jobs. What checks arguments, and what
 * suspends, is in lua/uvjobs/repeating.lua.
 *
 * A repetition that is not over is kept in a table, so that it goes on although
 * nobody refers to it. It refers to its scheduler. */
#ifndef UJ_LUA_REPEATING_REPEATING_H
#define UJ_LUA_REPEATING_REPEATING_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/state/job.h"
#include "lua/state/state.h"
#include "repeat/repeat.h"

/* The repetitions of a Lua state. */
struct uj_lrepeats {
  struct uj_repeats core;
  struct uj_state *S;
  int kept;     /* place on the hub: the repetitions, by their addresses */
  lua_State *L; /* on which occurrences are made now, or NULL */
};

/* [-0, +0, m] */
void uj_repeating_init(struct uj_state *S, lua_State *L);

/* [-0, +1, m] Registers the type; pushes the table of its methods. The state is
 * on the top. */
void uj_repeating_register(lua_State *L);

/* [-0, +0, -] Starts the occurrences that are due. */
void uj_repeating_ring(struct uj_state *S);

/* [-0, +0, -] An occurrence has ended. */
void uj_repeating_ended(struct uj_state *S, const struct uj_ljob *job);

/* For repeating.lua:
 * repeating(scheduler, schedule, fn, options): makes a Repeating and begins.
 * The table has options of the right kind, and others do not matter.
 * close_occurrences(repeating, seconds): closes those that run but for the
 * current job; returns a list of them. Without seconds they get the scheduler's
 * close timeout. */
extern const luaL_Reg uj_repeating_internals[];

#endif
