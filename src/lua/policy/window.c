#include "lua/policy/window.h"

#include <string.h>

#include "lua/base/alloc.h"
#include "lua/base/object.h"
#include "lua/engine/suspend.h"
#include "lua/state/state.h"

#define WINDOW_TYPE "uvjobs.Window"

static const char window_tag[] = WINDOW_TYPE;

enum { FIRST_RUNS = 16, MOST_RUNS = 1024, SLICES = 512 };

/* The user values: the functions of a guard. */
enum { UV_FAILED = 1, UV_OPENS, UV_COUNT = UV_OPENS };

struct run {
  int64_t at_ns;
  uint32_t total;
  uint32_t failed;
};

/* The runs are a ring, from `first` on. */
struct window {
  struct uj_object object;
  struct uj_state *S;
  struct run *runs;
  uint32_t size; /* a power of two, or 0 */
  uint32_t first;
  uint32_t count;
  int64_t length_ns;
  int64_t grain_ns; /* runs that are closer are merged */
  uint64_t total, failed;
  uint64_t minimum;
  double ratio;
  uint64_t clock;    /* which clock all times are of */
  bool collected;    /* it gets no memory any more */
  bool is_closed;    /* the breaker is closed: a guard calls its function */
  bool has_returned; /* the function of a guard has, and the guard is about to
                        be left */
};

static struct window *check_self(lua_State *L)
{
  return uj_object_self(L, window_tag, "breaker");
}

/* ---- runs ---------------------------------------------------------------- */

static struct run *at(const struct window *window, uint32_t i)
{
  return &window->runs[(window->first + i) & (window->size - 1)];
}

static void clear(struct window *window)
{
  window->first = 0;
  window->count = 0;
  window->grain_ns = 0;
  window->total = 0;
  window->failed = 0;
}

static void expire(struct window *window, int64_t now_ns)
{
  int64_t oldest_ns = now_ns - window->length_ns;
  while (window->count > 0 && at(window, 0)->at_ns <= oldest_ns) {
    window->total -= at(window, 0)->total;
    window->failed -= at(window, 0)->failed;
    window->first = (window->first + 1) & (window->size - 1);
    window->count--;
  }
  if (window->count == 0)
    clear(window);
}

static void merge(struct run *into, const struct run *run)
{
  into->total += run->total;
  into->failed += run->failed;
}

/* Merges runs that are closer to each other than the grain. */
static void coarsen(struct window *window)
{
  uint32_t n = 0;
  window->grain_ns = window->length_ns / SLICES + 1;
  for (uint32_t i = 0; i < window->count; i++) {
    struct run run = *at(window, i);
    if (n > 0 && run.at_ns - at(window, n - 1)->at_ns < window->grain_ns)
      merge(at(window, n - 1), &run);
    else
      *at(window, n++) = run;
  }
  window->count = n;
}

/* [-0, +0, -] Makes room for another run; returns false without memory. */
static bool enlarge(lua_State *L, struct window *window)
{
  uint32_t size = window->size == 0 ? FIRST_RUNS : window->size * 2;
  struct run *runs;
  void *ud;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  if (size > MOST_RUNS || window->collected)
    return false;
  runs = alloc(ud, NULL, 0, size * sizeof(*runs));
  if (runs == NULL)
    return false;
  for (uint32_t i = 0; i < window->count; i++)
    runs[i] = *at(window, i);
  uj_alloc_free(L, window->runs, window->size * sizeof(*runs));
  window->runs = runs;
  window->size = size;
  window->first = 0;
  return true;
}

/* Whether the call belongs to the last run. */
static bool is_of_last(const struct window *window, int64_t now_ns)
{
  int64_t last_ns;
  if (window->count == 0)
    return false;
  last_ns = at(window, window->count - 1)->at_ns;
  return now_ns == last_ns || now_ns - last_ns < window->grain_ns;
}

/* [-0, +0, -] Adds a call; returns whether too many have failed. Without memory
 * for even one run, it is not counted. */
static bool add(lua_State *L, struct window *window, int64_t now_ns,
                uint32_t failed)
{
  struct run run = {now_ns, 1, failed};
  expire(window, now_ns);
  if (!is_of_last(window, now_ns)) {
    if (window->count == window->size && !enlarge(L, window)) {
      if (window->size == 0)
        return false;
      coarsen(window);
    }
    if (!is_of_last(window, now_ns) && window->count < window->size)
      *at(window, window->count++) = (struct run){now_ns, 0, 0};
  }
  merge(at(window, window->count - 1), &run);
  window->total++;
  window->failed += failed;
  return window->failed > 0 && window->total >= window->minimum &&
         (double)window->failed / (double)window->total >= window->ratio;
}

static void sync_clock(struct window *window)
{
  if (window->clock == uj_state_clock(window->S))
    return;
  window->clock = uj_state_clock(window->S);
  clear(window);
}

/* ---- the object ---------------------------------------------------------- */

/* (length, minimum, ratio) */
static int l_window(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct window *window = lua_newuserdatauv(L, sizeof(*window), UV_COUNT);
  memset(window, 0, sizeof(*window));
  window->object.tag = window_tag;
  window->S = S;
  window->length_ns = luaL_checkinteger(L, 1);
  window->minimum = (uint64_t)luaL_checkinteger(L, 2);
  window->ratio = luaL_checknumber(L, 3);
  window->clock = uj_state_clock(S);
  luaL_setmetatable(L, WINDOW_TYPE);
  return 1;
}

/* Another finalizer can make it reachable again. Then it counts nothing more:
 * it is not finalized a second time, so its memory would never be freed. */
static int window_gc(lua_State *L)
{
  struct window *window = uj_object_to(L, 1, window_tag);
  if (window == NULL)
    return 0;
  window->collected = true;
  uj_alloc_free(L, window->runs, window->size * sizeof(*window->runs));
  window->runs = NULL;
  window->size = 0;
  clear(window);
  return 0;
}

/* (window, now, failure) */
static int l_window_add(lua_State *L)
{
  struct window *window = check_self(L);
  lua_pushboolean(
      L, add(L, window, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3) != 0));
  return 1;
}

/* (window, is_closed, clears) */
static int l_window_set(lua_State *L)
{
  struct window *window = check_self(L);
  sync_clock(window);
  window->is_closed = lua_toboolean(L, 2);
  if (lua_toboolean(L, 3))
    clear(window);
  return 0;
}

static int l_window_runs(lua_State *L)
{
  const struct window *window = check_self(L);
  lua_pushinteger(L, (lua_Integer)window->total);
  lua_pushinteger(L, (lua_Integer)window->failed);
  lua_createtable(L, (int)window->count * 3, 0);
  for (uint32_t i = 0; i < window->count; i++) {
    const struct run *run = at(window, i);
    lua_pushinteger(L, run->at_ns);
    lua_rawseti(L, -2, i * 3 + 1);
    lua_pushinteger(L, run->total);
    lua_rawseti(L, -2, i * 3 + 2);
    lua_pushinteger(L, run->failed);
    lua_rawseti(L, -2, i * 3 + 3);
  }
  return 3;
}

/* ---- guards -------------------------------------------------------------- */

/* The upvalues of a guard, beside the state. */
enum { UP_WINDOW = 2, UP_OTHERWISE, UP_INNER, UP_COUNT = UP_INNER };

/* (window, error): the window is the to-be-closed variable of a guard, and the
 * guard is left. If its function has returned, that has been counted already;
 * `has_returned` says so, because an error can be nil. While the Lua state
 * closes this does nothing. */
static int window_close(lua_State *L)
{
  struct window *window = check_self(L);
  if (window->has_returned || window->S->dead) {
    window->has_returned = false;
    return 0;
  }
  lua_getiuservalue(L, 1, UV_FAILED);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 0);
  return 0;
}

/* Stack: window, results. `ctx` is the window, too. */
static int returned(lua_State *L, int status, lua_KContext ctx)
{
  struct window *window;
  int64_t now_ns;
  (void)status;
  memcpy(&window, &ctx, sizeof(ctx));
  now_ns = (int64_t)uj_loop_now(&window->S->loop);
  sync_clock(window);
  if (window->is_closed && add(L, window, now_ns, 0)) {
    luaL_checkstack(L, LUA_MINSTACK, "too many results");
    lua_getiuservalue(L, 1, UV_OPENS);
    lua_pushinteger(L, now_ns);
    lua_call(L, 1, 0);
  }
  window->has_returned = true;
  return lua_gettop(L) - 1;
}

/* Stack: results. */
static int passed_on(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  return lua_gettop(L);
}

/* Stack: arguments. `extra` is 1 when the function is an upvalue, and otherwise
 * 0: then it is the first of them. A C function can always push a few values
 * more. */
static inline int call_guarded(lua_State *L, int extra)
{
  struct window *window = lua_touserdata(L, lua_upvalueindex(UP_WINDOW));
  int nargs = lua_gettop(L) - 1 + extra;
  bool is_closed = window->is_closed;
  lua_pushvalue(L, lua_upvalueindex(is_closed ? UP_WINDOW : UP_OTHERWISE));
  if (extra != 0)
    lua_pushvalue(L, lua_upvalueindex(UP_INNER));
  lua_rotate(L, 1, 1 + extra);
  if (!is_closed) {
    lua_callk(L, nargs + 1, LUA_MULTRET, 0, passed_on);
    return passed_on(L, LUA_OK, 0);
  }
  lua_toclose(L, 1);
  lua_callk(L, nargs, LUA_MULTRET, (lua_KContext)window, returned);
  return returned(L, LUA_OK, (lua_KContext)window);
}

static int guard(lua_State *L)
{
  return call_guarded(L, 0);
}

static int guard_around(lua_State *L)
{
  return call_guarded(L, 1);
}

/* (window, otherwise, failed, opens, inner) */
static int l_guard(lua_State *L)
{
  lua_CFunction function;
  check_self(L);
  lua_settop(L, 5);
  function = lua_isnil(L, 5) ? guard : guard_around;
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, 1, UV_FAILED);
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, 1, UV_OPENS);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 5);
  lua_pushcclosure(L, function, UP_COUNT);
  return 1;
}

void uj_window_register(lua_State *L)
{
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__gc", window_gc}, {"__close", window_close}, {NULL, NULL}};
  static const struct uj_type type = {
      .tag = window_tag, .methods = methods, .meta = meta};
  uj_object_register(L, &type);
  lua_pop(L, 1);
}

const luaL_Reg uj_window_internals[] = {
    {"window", l_window},         {"window_add", l_window_add},
    {"window_set", l_window_set}, {"window_runs", l_window_runs},
    {"guard", l_guard},           {NULL, NULL}};
