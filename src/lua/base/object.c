#include "lua/base/object.h"

#include <string.h>

/* A faster way to methods costs two tables: an object gets it after so many
 * lookups. */
enum { OFTEN = 1000 };

/* The upvalues of find() and of own_property(), which has UP_SELF, too. */
enum { UP_STATE = 1, UP_METHODS, UP_TYPE, UP_SELF, UP_COUNT = UP_TYPE };

static void push_upvalue(lua_State *L, int n)
{
  lua_pushvalue(L, lua_upvalueindex(n));
}

void uj_object_push_copy(lua_State *L, int narr)
{
  enum { FIELDS = 8 }; /* no type has many */
  int table = lua_gettop(L);
  lua_createtable(L, narr, FIELDS);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, table + 1);
    lua_pop(L, 1);
  }
}

void uj_object_push_words(lua_State *L, const char *const *words, int count)
{
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    lua_pushstring(L, words[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* (self, key) */
static int property(lua_State *L)
{
  const struct uj_type *type = lua_touserdata(L, lua_upvalueindex(UP_TYPE));
  const void *object = uj_object_self(L, type->tag, "index");
  if (lua_type(L, 2) != LUA_TSTRING ||
      !type->property(L, object, lua_tostring(L, 2)))
    lua_pushnil(L);
  return 1;
}

/* (methods, key): the __index of the methods of an object that has a metatable
 * of its own. Those are a copy: the type may have got more methods since. */
static int own_property(lua_State *L)
{
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(UP_METHODS)) != LUA_TNIL)
    return 1;
  push_upvalue(L, UP_SELF);
  lua_replace(L, 1);
  return property(L);
}

/* [-0, +0, m] Gives the object at index 1 a metatable of its own. */
static void give_own(lua_State *L)
{
  lua_getmetatable(L, 1);
  uj_object_push_copy(L, 0);
  push_upvalue(L, UP_METHODS);
  uj_object_push_copy(L, 0);
  lua_createtable(L, 0, 1);
  for (int i = 1; i <= UP_COUNT; i++)
    push_upvalue(L, i);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, own_property, UP_SELF);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_setfield(L, -3, "__index"); /* of the copied metatable: the methods */
  lua_pop(L, 1);
  lua_setmetatable(L, 1);
  lua_pop(L, 1);
}

/* (self, key): the __index of a type with properties. */
static int find(lua_State *L)
{
  const struct uj_type *type;
  struct uj_counted_object *object;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(UP_METHODS)) == LUA_TNIL)
    return property(L);
  type = lua_touserdata(L, lua_upvalueindex(UP_TYPE));
  if (!type->counts_lookups)
    return 1;
  object = uj_object_self(L, type->tag, "index");
  if (++object->lookups == OFTEN)
    give_own(L);
  return 1;
}

void uj_object_set_functions(lua_State *L, int state, const luaL_Reg *functions)
{
  lua_pushvalue(L, state);
  luaL_setfuncs(L, functions, 1);
}

void uj_object_register(lua_State *L, const struct uj_type *type)
{
  int state = lua_gettop(L), methods = state + 1, meta = state + 2;
  void *upvalue;
  memcpy(&upvalue, &type,
         sizeof(upvalue)); /* casts const away: it is only read */
  lua_newtable(L);
  uj_object_set_functions(L, state, type->methods);
  luaL_newmetatable(L, type->tag);
  uj_object_set_functions(L, state, type->meta);
  lua_pushboolean(L, 0); /* what getmetatable() returns */
  lua_setfield(L, meta, "__metatable");
  if (type->property == NULL)
    lua_pushvalue(L, methods);
  else {
    lua_pushvalue(L, state);
    lua_pushvalue(L, methods);
    lua_pushlightuserdata(L, upvalue);
    lua_pushcclosure(L, find, UP_COUNT);
  }
  lua_setfield(L, meta, "__index");
  lua_settop(L, methods);
}
