/* Answers to questions that other processes have: run()'s option `inspect`.
 *
 * The loop makes a copy of the process for each, between two jobs or in the
 * hook that interrupts a job; see src/inspect/loops.h. In the copy a function
 * of Lua (lua/uvjobs/inspect) finds the answer, as if nothing had happened. */
#ifndef UJ_LUA_ENGINE_INSPECTING_H
#define UJ_LUA_ENGINE_INSPECTING_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "inspect/loops.h"
#include "lua/state/state.h"

/* What run() is told. */
struct uj_inspecting_options {
  bool off;
  bool at_once; /* the socket is there from the start */
  bool control; /* who asks may cancel jobs */
  bool values;  /* and sees what comes from the program, such as the command of
                   exec() */
};

struct uj_inspecting {
  struct uj_inspected loop;
  struct uj_inspecting_options options;
  lua_State *L; /* the coroutine that answers */
  int answerer; /* the place on the hub of what set_answerer() was given */
  int actor;    /* the same of set_actor() */
  char refusal[256];
};

/* [-0, +0, m] */
void uj_inspecting_init(struct uj_state *S, lua_State *L);

/* From now on the loop can be asked, unless `options` say otherwise; the driver
 * is there. Where a socket that was asked for cannot be made, this is written
 * to standard error: the program is not worse for it. It may be called again.
 */
void uj_inspecting_start(struct uj_state *S);
void uj_inspecting_stop(struct uj_state *S);

/* [-0, +0, -] Answers if somebody asks. L is the coroutine of the job that
 * runs, or where the loop runs. Returns whether somebody has asked. */
bool uj_inspecting_look(struct uj_state *S, lua_State *L);

/* set_answerer(fn): fn() loads what it needs, in the loop, and
 * fn(question, seen) returns the answer, as text. `seen` is a
 * table: `job`, the job that runs; `traceback`, where it stands; `outside`,
 * whether the loop did not answer; `held`, for how many seconds the job has
 * held it at least; `values` and `control` as in the options. set_actor(fn):
 * fn(question) does what is asked, other than a cancel, in the loop itself;
 * returns nothing, or a text that says why it has not. */
extern const luaL_Reg uj_inspecting_internals[];

#endif
