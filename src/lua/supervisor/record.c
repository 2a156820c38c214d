#include "lua/supervisor/record.h"

#include <string.h>

#include "lua/base/seconds.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"
#include "lua/supervisor/children.h"

/* ---- the record ---------------------------------------------------------- */

static const char *const places[] = {
    [UJ_CHILD_NAME] = "NAME",   [UJ_CHILD_FN] = "FN",
    [UJ_CHILD_KIND] = "KIND",   [UJ_CHILD_STATE] = "STATE",
    [UJ_CHILD_JOB] = "JOB",     [UJ_CHILD_PLACE] = "PLACE",
    [UJ_CHILD_SINCE] = "SINCE", [UJ_CHILD_MORE] = "MORE",
};

static int l_child_places(lua_State *L)
{
  lua_createtable(L, 0, UJ_CHILD_MORE);
  for (int place = UJ_CHILD_NAME; place <= UJ_CHILD_MORE; place++) {
    lua_pushinteger(L, place);
    lua_setfield(L, -2, places[place]);
  }
  return 1;
}

/* [-1, +0, -] Sets a place of the record below the top to the top. */
static inline void set(lua_State *L, enum uj_child_place place)
{
  lua_rawseti(L, -2, place);
}

/* [-0, +1, m] Pushes a record with the metatable at `type` and the state at
 * `state`. The three values from `first` on are its name, its function and its
 * kind. It is up since `since_ns`, or was never up: UJ_NEVER. */
static void push_record(lua_State *L, int type, int first, int state,
                        lua_Integer place, uint64_t since_ns)
{
  lua_createtable(L, UJ_CHILD_MORE, 0);
  for (int i = 0; i < 3; i++) {
    lua_pushvalue(L, first + i);
    lua_rawseti(L, -2, UJ_CHILD_NAME + i);
  }
  lua_pushvalue(L, state);
  set(L, UJ_CHILD_STATE);
  lua_pushboolean(L, 0);
  set(L, UJ_CHILD_JOB);
  lua_pushinteger(L, place);
  set(L, UJ_CHILD_PLACE);
  if (since_ns == UJ_NEVER)
    lua_pushboolean(L, 0);
  else
    uj_seconds_push(L, since_ns);
  set(L, UJ_CHILD_SINCE);
  lua_pushboolean(L, 0);
  set(L, UJ_CHILD_MORE);
  lua_pushvalue(L, type);
  lua_setmetatable(L, -2);
}

/* (Child, name, fn, kind, state) */
static int l_new_child(lua_State *L)
{
  push_record(L, 1, 2, 5, 0, UJ_NEVER);
  return 1;
}

/* ---- a plain start ------------------------------------------------------- */

/* The stack of start_plain(). What the options say is above its arguments. */
enum {
  AT_SCHED = 1,
  AT_GIVEN,
  AT_NAMES,
  AT_KINDS,
  AT_CHILDREN,
  AT_PLACE,
  AT_TYPE,
  AT_STATE,
  AT_NAME,
  AT_FN,
  AT_KIND,
  AT_RECORD
};

/* [-0, +0, -] Whether the table at idx has the value on the top as a key. */
static bool has_key(lua_State *L, int idx)
{
  bool found;
  lua_pushvalue(L, -1);
  found = lua_rawget(L, idx) != LUA_TNIL;
  lua_pop(L, 1);
  return found;
}

/* [-1, +0, -] Takes an option, whose value is on the top and whose key is below
 * it. Returns whether it is one of a plain child. */
static bool take_option(lua_State *L)
{
  const char *key;
  if (lua_type(L, -2) == LUA_TNUMBER) {
    bool is_fn = lua_isinteger(L, -2) && lua_tointeger(L, -2) == 1 &&
                 lua_type(L, -1) == LUA_TFUNCTION;
    lua_replace(L, AT_FN);
    return is_fn;
  }
  if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
    return false;
  key = lua_tostring(L, -2);
  if (strcmp(key, "name") == 0 && !has_key(L, AT_NAMES)) {
    lua_replace(L, AT_NAME);
    return true;
  }
  if (strcmp(key, "restart") != 0)
    return false;
  lua_replace(L, AT_KIND);
  return true;
}

/* [-?, +?, -] Reads the options. Returns whether they are those of a plain
 * child; otherwise the stack is left as it happens to be. */
static bool read_options(lua_State *L)
{
  lua_pushboolean(L, 0);
  lua_pushnil(L);
  lua_pushliteral(L, "permanent");
  lua_pushnil(L);
  while (lua_next(L, AT_GIVEN) != 0) {
    if (!take_option(L))
      return false;
  }
  lua_pushvalue(L, AT_KIND);
  lua_rawget(L, AT_KINDS);
  lua_replace(L, AT_KIND);
  return lua_istable(L, AT_KIND) && lua_isfunction(L, AT_FN);
}

/* [-0, +0, m] Enters the record, which is on the top, into the tables of its
 * supervisor; or takes it out of them again. Whoever calls start_plain() sees
 * by its place whether that was begun, so this comes first. */
static void enter(lua_State *L, lua_Integer place, bool is_there)
{
  if (is_there)
    lua_pushvalue(L, AT_RECORD);
  else
    lua_pushnil(L);
  lua_rawseti(L, AT_CHILDREN, place);
  if (lua_type(L, AT_NAME) != LUA_TSTRING)
    return;
  lua_pushvalue(L, AT_NAME);
  if (is_there)
    lua_pushvalue(L, AT_RECORD);
  else
    lua_pushnil(L);
  lua_rawset(L, AT_NAMES);
}

/* [-0, +1, m] Begins the run of the record at AT_RECORD, and pushes its job;
 * pushes nothing when the scheduler is closed. */
static bool begin(struct uj_state *S, lua_State *L)
{
  lua_pushvalue(L, AT_FN);
  lua_pushvalue(L, AT_RECORD);
  return uj_children_spawn(S, L, AT_SCHED, AT_RECORD + 1) == UJ_OK;
}

static int l_start_plain(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_Integer place = lua_tointeger(L, AT_PLACE);
  if (!lua_istable(L, AT_GIVEN) || !uj_suspend_can(S, L) ||
      uj_suspend_needed(S->current) || S->current->has_context)
    return 0;
  if (!read_options(L))
    return 0;
  push_record(L, AT_TYPE, AT_NAME, AT_STATE, place, uj_loop_now(&S->loop));
  enter(L, place, true);
  if (!begin(S, L)) {
    enter(L, place, false);
    return 0;
  }
  lua_rawseti(L, AT_RECORD, UJ_CHILD_JOB);
  lua_settop(L, AT_RECORD);
  return 1;
}

const luaL_Reg uj_record_internals[] = {{"child_places", l_child_places},
                                        {"new_child", l_new_child},
                                        {"start_plain", l_start_plain},
                                        {NULL, NULL}};
