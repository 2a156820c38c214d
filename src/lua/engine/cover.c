#include "lua/engine/cover.h"

#include <lauxlib.h>

#include "core/turn.h"
#include "lua/base/inside.h"
#include "lua/engine/covered.h"
#include "lua/engine/hook.h"
#include "lua/engine/nest.h"
#include "lua/engine/resume.h"
#include "lua/engine/stretch.h"

/* ---- where it is not done ------------------------------------------------ */

/* How many calls of a coroutine are searched: to reach a call, Lua walks over
 * all those above it. */
enum { LEVELS = 200 };

static bool is_in_require(const struct uj_state *S, lua_State *L)
{
  lua_Debug ar;
  for (int level = 0; level < LEVELS && lua_getstack(L, level, &ar); level++) {
    lua_CFunction function;
    lua_getinfo(L, "f", &ar);
    function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    if (function != NULL && function == S->covers->require)
      return true;
  }
  return false;
}

/* The coroutines that the job has nested run in each other, down to its own.
 */
static bool is_loading(const struct uj_state *S, lua_State *L)
{
  const struct uj_nest *nest = S->nest;
  lua_State *own = S->current->co;
  if (is_in_require(S, L) || (own != L && is_in_require(S, own)))
    return true;
  for (; nest != NULL; nest = nest->outer)
    if (nest->co != L && is_in_require(S, nest->co))
      return true;
  return false;
}

/* (n): calls itself, n deep. */
static int dig(lua_State *L)
{
  lua_Integer n = lua_tointeger(L, 1);
  if (n == 0)
    return 0;
  lua_pushcfunction(L, dig);
  lua_pushinteger(L, n - 1);
  lua_call(L, 1, 0);
  return 0;
}

/* Lua does not tell how many levels of C calls there are: so they are tried. It
 * takes some microseconds. */
static bool has_levels(lua_State *L)
{
  lua_pushcfunction(L, dig);
  lua_pushinteger(L, UJ_COVER_LEVELS);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK)
    return true;
  lua_pop(L, 1);
  return false;
}

/* ---- the ground ---------------------------------------------------------- */

/* (state, depth): makes what the loop stands on at this depth, in the place of
 * the coroutine that has called run(). It is used again and again. */
static int get_ground(lua_State *L)
{
  const struct uj_state *S = lua_touserdata(L, 1);
  lua_Integer depth = lua_tointeger(L, 2);
  uj_hub_push(S->hub, L, S->covers->grounds);
  if (lua_rawgeti(L, -1, depth) == LUA_TTHREAD)
    return 1;
  (void)lua_newthread(L);
  lua_pushvalue(L, -1);
  lua_rawseti(L, 3, depth);
  return 1;
}

/* [-0, +0, -] Returns NULL without memory. The hub keeps it. */
static lua_State *ground_of(struct uj_state *S, lua_State *L)
{
  lua_State *ground;
  lua_pushcfunction(L, get_ground);
  lua_pushlightuserdata(L, S);
  lua_pushinteger(L, S->covers->depth + 1);
  if (lua_pcall(L, 2, 1, 0) != LUA_OK) {
    lua_pop(L, 1);
    return NULL;
  }
  ground = lua_tothread(L, -1);
  lua_pop(L, 1);
  return ground;
}

/* ---- covering ------------------------------------------------------------ */

/* From here on it is as if the job had been preempted. */
static void put_aside(struct uj_state *S, struct uj_cover *cover)
{
  uj_stretch_pass_slice(S);
  cover->running = S->running;
  uj_hook_set_running(S, NULL);
  uj_watch_tick(&S->watch);
  cover->native = S->native;
  cover->nest = S->nest;
  cover->yields = S->chain_yields;
  cover->below = S->covers->top;
  S->covers->top = cover;
  S->covers->depth++;
  S->current = NULL;
  S->native = NULL;
  S->nest = NULL;
  S->chain_yields = true;
  cover->began = true;
  uj_loop_cover(&S->loop, &cover->job->core);
}

/* And here it goes on, like one that was preempted. */
static void take_up(struct uj_state *S, const struct uj_cover *cover)
{
  S->covers->top = cover->below;
  S->covers->depth--;
  S->current = cover->job;
  S->native = cover->native;
  S->nest = cover->nest;
  S->chain_yields = cover->yields;
  cover->job->resumes++;
  uj_watch_tick(&S->watch);
  uj_stretch_go_on(S);
  uj_hook_set_running(S, cover->running);
}

/* A debug hook of whoever has called run() hears of what jobs and handlers do,
 * but not of what was done here to find out whether there is room. */
static void copy_hook(lua_State *L, lua_State *from)
{
  lua_sethook(L, lua_gethook(from), lua_gethookmask(from),
              lua_gethookcount(from));
}

/* (state, cover) */
static int go_round(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  struct uj_cover *cover = lua_touserdata(L, 2);
  luaL_checkstack(L, 2 * LUA_MINSTACK, "uvjobs");
  if (!has_levels(L))
    return 0;
  copy_hook(L, cover->caller);
  put_aside(S, cover);
  S->covers->go_round(S, L, cover->job);
  return 0;
}

/* The loop has ended by an error, which run() or step() will raise. */
static void fail(struct uj_state *S, lua_State *ground,
                 const struct uj_cover *cover)
{
  if (uj_loop_is_covering(&S->loop, &cover->job->core))
    uj_loop_uncover(&S->loop);
  uj_state_keep_error(S, ground);
}

bool uj_cover_go_round(struct uj_state *S, lua_State *L)
{
  struct uj_cover cover = {.job = S->current, .co = L, .caller = S->L};
  lua_State *ground;
  int status;
  if (uj_hook_target(S) != L || S->killing || uj_inside_is_finalizing(L) ||
      is_loading(S, L))
    return false;
  ground = ground_of(S, L);
  if (ground == NULL || !lua_checkstack(ground, 3))
    return false;
  lua_pushcfunction(ground, go_round);
  lua_pushlightuserdata(ground, S);
  lua_pushlightuserdata(ground, &cover);
  status = uj_resume_ground(S, ground, L, 2);
  if (status != LUA_OK && cover.began)
    fail(S, ground, &cover);
  if (status != LUA_OK)
    (void)uj_inside_closethread(ground, L);
  lua_settop(ground, 0);
  if (cover.began)
    take_up(S, &cover);
  return cover.began;
}

/* ---- beginning ----------------------------------------------------------- */

void uj_cover_init(struct uj_state *S, lua_State *L)
{
  lua_newtable(L);
  S->covers->grounds = uj_hub_keep(S->hub, L);
}

void uj_cover_register(struct uj_state *S, lua_State *L)
{
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_GNAME);
  lua_getfield(L, -1, "require");
  S->covers->require = lua_tocfunction(L, -1);
  lua_pop(L, 3);
}
