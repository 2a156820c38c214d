#include "lua/base/object.h"

#include <string.h>

#include "lua/base/nearest.h"

/* A faster way to methods costs two tables: an object gets it after so many
 * lookups. */
enum { OFTEN = 1000 };

/* The upvalues of find(); of own_property(), which has UP_SELF, too; and of
 * set(), which has UP_SET: the type's own function, or nil. */
enum { UP_STATE = 1, UP_METHODS, UP_TYPE, UP_SELF, UP_COUNT = UP_TYPE };
enum { UP_SET = UP_SELF };

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

/* ---- names that are not known -------------------------------------------- */

/* The name of a property or a method that may have been meant, or NULL. */
static const char *nearest(lua_State *L, const struct uj_type *type,
                           const char *key)
{
  struct uj_nearest nearest = uj_nearest_to(key);
  const char *const *names = type->properties;
  for (; names != NULL && *names != NULL; names++)
    uj_nearest_try(&nearest, *names);
  lua_pushnil(L);
  while (lua_next(L, lua_upvalueindex(UP_METHODS))) {
    uj_nearest_try(&nearest, lua_tostring(L, -2)); /* the table keeps it */
    lua_pop(L, 1);
  }
  return uj_nearest_is_near(&nearest) ? nearest.name : NULL;
}

/* (self, key) */
static int unknown(lua_State *L, const struct uj_type *type)
{
  const char *key, *name;
  if (lua_type(L, 2) != LUA_TSTRING)
    return luaL_error(L, "unknown property [%s] of a %s",
                      luaL_tolstring(L, 2, NULL), type->tag);
  key = lua_tostring(L, 2);
  name = nearest(L, type, key);
  if (name == NULL)
    return luaL_error(L, "unknown property '%s' of a %s", key, type->tag);
  return luaL_error(L, "unknown property '%s' of a %s, did you mean '%s'?", key,
                    type->tag, name);
}

/* (methods, key): the __index of the methods of a type without properties. */
static int missing(lua_State *L)
{
  return unknown(L, lua_touserdata(L, lua_upvalueindex(UP_TYPE)));
}

/* ---- finding ------------------------------------------------------------- */

/* (self, key) */
static int property(lua_State *L)
{
  const struct uj_type *type = lua_touserdata(L, lua_upvalueindex(UP_TYPE));
  const void *object = uj_object_self(L, type->tag, "index");
  if (lua_type(L, 2) != LUA_TSTRING ||
      !type->property(L, object, lua_tostring(L, 2)))
    return unknown(L, type);
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

/* Whether the key is the name of a property or a method. */
static bool is_known(lua_State *L, const struct uj_type *type,
                     const void *object)
{
  bool found;
  if (lua_type(L, 2) != LUA_TSTRING)
    return false;
  lua_pushvalue(L, 2);
  found =
      lua_rawget(L, lua_upvalueindex(UP_METHODS)) != LUA_TNIL ||
      (type->property != NULL && type->property(L, object, lua_tostring(L, 2)));
  lua_settop(L, 3);
  return found;
}

/* (self, key, value): the __newindex of all types. */
static int set(lua_State *L)
{
  const struct uj_type *type = lua_touserdata(L, lua_upvalueindex(UP_TYPE));
  const void *object = uj_object_self(L, type->tag, "newindex");
  lua_CFunction own;
  if (!is_known(L, type, object))
    return unknown(L, type);
  own = lua_tocfunction(L, lua_upvalueindex(UP_SET));
  if (own == NULL)
    return luaL_error(L, "cannot set '%s' of a %s (read only)",
                      lua_tostring(L, 2), type->tag);
  return own(L); /* not by lua_call: its errors blame our caller */
}

/* ---- registering --------------------------------------------------------- */

void uj_object_set_functions(lua_State *L, int state, const luaL_Reg *functions)
{
  lua_pushvalue(L, state);
  luaL_setfuncs(L, functions, 1);
}

/* [-0, +3, -] Pushes the first UP_COUNT upvalues. The methods are above the
 * state, at index `state`. */
static void push_upvalues(lua_State *L, int state, void *type)
{
  lua_pushvalue(L, state);
  lua_pushvalue(L, state + 1);
  lua_pushlightuserdata(L, type);
}

/* [-0, +1, m] Pushes the __index of a type: for one without properties it is
 * the table of the methods, which raises for what it does not have. */
static void push_index(lua_State *L, int state, const struct uj_type *type,
                       void *upvalue)
{
  bool has_properties = type->property != NULL;
  push_upvalues(L, state, upvalue);
  lua_pushcclosure(L, has_properties ? find : missing, UP_COUNT);
  if (has_properties)
    return;
  lua_createtable(L, 0, 1);
  lua_insert(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, state + 1);
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
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
  push_upvalues(L, state, upvalue);
  lua_getfield(L, meta, "__newindex");
  lua_pushcclosure(L, set, UP_SET);
  lua_setfield(L, meta, "__newindex");
  push_index(L, state, type, upvalue);
  lua_setfield(L, meta, "__index");
  lua_settop(L, methods);
}

void uj_object_finalize_again(lua_State *L)
{
  if (lua_getmetatable(L, 1))
    lua_setmetatable(L, 1);
}
