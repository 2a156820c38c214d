#include "lua/base/backtrace.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* Where the registry has the index: a table with weak keys, from functions to
 * their names; at the index 1, how often it was asked. */
static const char index_key;

/* How often it is asked before it is made again. */
enum { INDEX_USES = 1000 };

/* Of a deep stack so many of the first and of the last levels are shown. */
enum { FIRST_LEVELS = 10, LAST_LEVELS = 11 };

/* ---- the names of functions ---------------------------------------------- */

/* [-0, +0, m] Enters the functions of a module into the index at `index`. The
 * stack has the name of the module and its table on the top. A name in _G comes
 * before others. */
static void add_module(lua_State *L, int index)
{
  const char *module = lua_tostring(L, -2);
  bool global = strcmp(module, LUA_GNAME) == 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    bool named = lua_isfunction(L, -1) && lua_type(L, -2) == LUA_TSTRING;
    if (named) {
      lua_pushvalue(L, -1);
      named = lua_rawget(L, index) == LUA_TNIL || global;
      lua_pop(L, 1);
    }
    if (named) {
      if (global)
        lua_pushvalue(L, -2);
      else
        lua_pushfstring(L, "%s.%s", module, lua_tostring(L, -2));
      lua_rawset(L, index);
    } else
      lua_pop(L, 1);
  }
}

/* [-0, +1, m] Makes the index. */
static void push_new_index(lua_State *L)
{
  int index;
  lua_newtable(L);
  index = lua_gettop(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, index);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1))
      add_module(L, index);
    lua_pop(L, 1);
  }
  lua_settop(L, index);
  lua_pushvalue(L, index);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &index_key);
}

/* [-0, +1, m] Pushes the index. */
static void push_index(lua_State *L)
{
  lua_Integer uses = INDEX_USES;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &index_key) == LUA_TTABLE) {
    lua_rawgeti(L, -1, 1);
    uses = lua_tointeger(L, -1) + 1;
    lua_pop(L, 1);
  }
  if (uses >= INDEX_USES) {
    lua_pop(L, 1);
    push_new_index(L);
    uses = 0;
  }
  lua_pushinteger(L, uses);
  lua_rawseti(L, -2, 1);
}

/* [-0, +1, m] Pushes what the function of a level is called. */
static void push_function_name(lua_State *L, lua_Debug *ar, int index)
{
  lua_getinfo(L, "f", ar); /* pushes it onto L, whatever stack it is on */
  if (lua_rawget(L, index) == LUA_TSTRING) {
    lua_pushfstring(L, "function '%s'", lua_tostring(L, -1));
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  if (*ar->namewhat != '\0')
    lua_pushfstring(L, "%s '%s'", ar->namewhat, ar->name);
  else if (*ar->what == 'm')
    lua_pushliteral(L, "main chunk");
  else if (*ar->what != 'C')
    lua_pushfstring(L, "function <%s:%d>", ar->short_src, ar->linedefined);
  else
    lua_pushliteral(L, "?");
}

void uj_backtrace_register(lua_State *L)
{
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &index_key);
}

/* ---- the stack ----------------------------------------------------------- */

static int count_levels(lua_State *co)
{
  lua_Debug ar;
  int low = 1, high = 1;
  while (lua_getstack(co, high, &ar)) {
    low = high;
    high *= 2;
  }
  while (low < high) {
    int middle = (low + high) / 2;
    if (lua_getstack(co, middle, &ar))
      low = middle + 1;
    else
      high = middle;
  }
  return high - 1;
}

/* [-0, +0, m] Adds a level to the text on the top. */
static void add_level(lua_State *L, lua_State *co, lua_Debug *ar, int index)
{
  lua_getinfo(co, "Slnt", ar);
  push_function_name(L, ar, index);
  if (ar->currentline <= 0)
    lua_pushfstring(L, "\n\t%s: in ", ar->short_src);
  else
    lua_pushfstring(L, "\n\t%s:%d: in ", ar->short_src, ar->currentline);
  lua_insert(L, -2);
  if (ar->istailcall)
    lua_pushliteral(L, "\n\t(...tail calls...)");
  else
    lua_pushliteral(L, "");
  lua_concat(L, 4);
}

void uj_backtrace_push(lua_State *L, lua_State *co, const char *text, int level)
{
  int last = count_levels(co), index;
  int shown = last - level > FIRST_LEVELS + LAST_LEVELS ? FIRST_LEVELS : -1;
  lua_Debug ar;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  push_index(L);
  index = lua_gettop(L);
  lua_pushfstring(L, "%s%sstack traceback:", text != NULL ? text : "",
                  text != NULL ? "\n" : "");
  while (lua_getstack(co, level++, &ar)) {
    if (shown-- == 0) {
      int skipped = last - level - LAST_LEVELS + 1;
      lua_pushfstring(L, "\n\t...\t(skipping %d levels)", skipped);
      lua_concat(L, 2);
      level += skipped;
    } else
      add_level(L, co, &ar, index);
  }
  lua_remove(L, index);
}
