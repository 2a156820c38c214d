/* What our userdata have in common: how they are told from others, and how
 * their methods and properties are found. */
#ifndef UJ_LUA_OBJECT_H
#define UJ_LUA_OBJECT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lua/base/args.h"

/* The first member of every such userdata. The tag tells its type in a tenth of
 * the time that it takes to compare metatables by name. */
struct uj_object {
  const char *tag; /* of the type: it is compared by its address */
};

/* The first member of objects whose methods are called so often that an object
 * gets a faster way to find them after many lookups: see uj_object_register().
 */
struct uj_counted_object {
  struct uj_object object;
  uint32_t lookups; /* of methods that a call had to find */
};

static inline void uj_object_init_counted(struct uj_counted_object *counted,
                                          const char *tag)
{
  counted->object.tag = tag;
  counted->lookups = 0;
}

/* Returns the userdata at idx when it has this tag, and NULL otherwise. (A
 * light userdata has no length, and other values have no address.) */
static inline void *uj_object_to(lua_State *L, int idx, const char *tag)
{
  struct uj_object *object = lua_touserdata(L, idx);
  if (object == NULL || lua_rawlen(L, idx) < sizeof(*object))
    return NULL;
  return object->tag == tag ? object : NULL;
}

/* The same for self, the first argument: it raises "bad self to 'name' (tag
 * expected, got ...)". */
static inline void *uj_object_self(lua_State *L, const char *tag,
                                   const char *name)
{
  void *object = uj_object_to(L, 1, tag);
  if (object == NULL)
    uj_arg_selferror(L, name, tag);
  return object;
}

/* A type of userdata. */
struct uj_type {
  const char *tag; /* also the name of the type */
  const luaL_Reg *methods;
  const luaL_Reg *meta; /* the metamethods except __index */
  /* [-0, +(0|1), m] Pushes a property of the object at index 1; returns false
   * when there is none of that name. NULL when the type has only methods. */
  bool (*property)(lua_State *L, const void *object, const char *key);
  /* The names of the properties, for what is said of a misspelt one; up to a
   * NULL. */
  const char *const *properties;
  bool counts_lookups; /* its objects begin with a struct
                          uj_counted_object */
};

/* [-0, +1, m] Pushes a copy of the table on the top. `narr` as for
 * lua_createtable(). */
void uj_object_push_copy(lua_State *L, int narr);

/* [-0, +1, m] Pushes a list of the words that a property can be. */
void uj_object_push_words(lua_State *L, const char *const *words, int count);

/* [-0, +0, m] Adds functions to the table on the top; their first upvalue is
 * the state, at index `state`. */
void uj_object_set_functions(lua_State *L, int state,
                             const luaL_Reg *functions);

/* [-0, +1, m] Registers the metatable of a type, and pushes the table of its
 * methods. The state is on the top; it is the first upvalue of all functions.
 *
 * A name that is neither a property nor a method raises, when it is read and
 * when it is set. A __newindex among the metamethods is called for known names
 * only; without it no property can be set. In a type with properties, __index
 * is a function that looks for a method first; that makes calling a method a
 * third dearer. So an object whose methods are called often gets a metatable of
 * its own, in which __index is the table of methods, and the __index of that
 * table a function that knows the object.
 */
void uj_object_register(lua_State *L, const struct uj_type *type);

/* [-0, +0, -] For the __gc of an object, at index 1: Lua will call it again.
 * Lua calls it once for each time that the metatable was set, and a finalizer
 * of the program can make the object reachable again, and use it. */
void uj_object_finalize_again(lua_State *L);

#endif
