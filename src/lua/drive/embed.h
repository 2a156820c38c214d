/* When the program's loop is somebody else's: start() makes jobs, step() takes
 * a turn, and a descriptor says when to call it. Between two steps nothing of
 * ours runs. */
#ifndef UJ_LUA_EMBED_H
#define UJ_LUA_EMBED_H

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

/* uvjobs.start([opts,] fn, ...) */
int uj_embed_start(lua_State *L);
/* uvjobs.fd() */
int uj_embed_fd(lua_State *L);
/* uvjobs.next_timeout() */
int uj_embed_next_timeout(lua_State *L);
/* uvjobs.step() */
int uj_embed_step(lua_State *L);

/* For attach.lua: (function) is called, outside step(), when a job is ready; it
 * must not raise. luv's loop is the host then. (nil) takes that back. */
int uj_embed_set_wake(lua_State *L);
/* For attach.lua: () whether the descriptor is readable at deadlines. */
int uj_embed_fd_is_timed(lua_State *L);
/* For attach.lua: () whether any job lives. */
int uj_embed_has_jobs(lua_State *L);

#endif
