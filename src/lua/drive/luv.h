/* luv beside us. Its loop may come from another copy of libuv than ours, so it
 * is driven through luv's own functions and its descriptor, and only when the
 * script has loaded it. */
#ifndef UJ_LUA_LUV_H
#define UJ_LUA_LUV_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/state/state.h"

struct uj_luv {
  unsigned nforks; /* when it was found: the child of a later fork must not run
                      its loop, which belongs to the parent, too */
  int functions;   /* place on the hub: a table of the functions of luv that we
                      call; nil until luv is loaded */
  int name;        /* place on the hub: the string "luv" */
  int nowait;      /* place on the hub: the string "nowait" */
  bool is_host;    /* luv's loop drives ours: we must not drive it */
  bool is_driven;  /* luv is loaded, and its loop is ours to drive */
  bool is_alive;   /* what uj_luv_alive() has found last */
};

/* [-0, +0, m] */
void uj_luv_init(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Looks whether luv's loop is running: it has called us then. */
void uj_luv_find_host(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Looks whether luv is there for us to drive: it may have been
 * loaded in the meantime. The other functions go by what it has found. */
void uj_luv_find(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Whether luv's loop has anything to wait for. */
bool uj_luv_alive(struct uj_state *S, lua_State *L);

/* [-0, +0, -] When luv's loop must run again at the latest, and in *fd its
 * descriptor. When uj_luv_alive() has found it idle, UJ_NEVER and -1. UJ_NEVER
 * with a descriptor: not before that is readable. */
uint64_t uj_luv_due(struct uj_state *S, lua_State *L, int *fd);

/* [-0, +0, -] Runs what is ready in luv's loop. An error of a callback is kept
 * for run() or step() to raise. */
void uj_luv_run(struct uj_state *S, lua_State *L);

/* [-0, +0, -] Tells luv what time it is: its timers count from when its loop
 * looked at the clock last. */
void uj_luv_update_time(struct uj_state *S, lua_State *L);

/* For Lua code of ours, what is only here because of luv: luv_walk(). */
extern const luaL_Reg uj_luv_internals[];

#endif
