/* When the program's loop is somebody else's: start() makes jobs, step() takes
 * a turn, and a descriptor says when to call it. Between two steps nothing of
 * ours runs. */
#ifndef UJ_LUA_EMBED_H
#define UJ_LUA_EMBED_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "lua/drive/options.h"
#include "lua/state/state.h"

struct uj_embed {
  struct uj_drive_options options; /* of the loop, for step() */
  int wake;       /* place on the hub: the function of set_wake(), or nil */
  bool is_hosted; /* somebody else's loop drives us while run() does not */
};

/* [-0, +0, m] */
void uj_embed_init(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Tells the host that a job has become ready between two steps: by
 * the function of set_wake(), or else by the descriptor. */
void uj_embed_wake(struct uj_state *S);

/* [-0, +0, -] After run() and step(): sees to it that the descriptor becomes
 * readable when step() has something to do. Nothing happens without a host. */
void uj_embed_arm(struct uj_state *S, lua_State *L);

/* Whether set_wake() was called. */
bool uj_embed_attached(const struct uj_state *S);

/* start(), step(), fd() and next_timeout(). */
extern const luaL_Reg uj_embed_functions[];

/* For attach.lua:
 * set_wake(function): it is called when a job becomes ready between two steps;
 * it must not raise. From then on luv's loop is the host. set_wake(nil) takes
 * that back.
 * fd_is_timed(): whether the descriptor becomes readable at deadlines.
 * has_jobs(): whether any job lives.
 * loop_runs(): whether the loop runs, so that nobody else can drive it. */
extern const luaL_Reg uj_embed_internals[];

#endif
