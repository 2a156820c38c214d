/* How userdata of ours are told from others: by a tag at their beginning. That
 * takes a tenth of the time of comparing metatables by name. */
#ifndef UJ_LUA_OBJECT_H
#define UJ_LUA_OBJECT_H

#include <lua.h>
#include <stddef.h>

#include "lua/args.h"

/* The first member of every such userdata; points to the tag of its type. */
struct uj_object {
  const char *tag;
};

/* The userdata at idx, when it has this size and this tag; NULL otherwise. */
static inline void *uj_object_to(lua_State *L, int idx, size_t size,
                                 const char *tag)
{
  struct uj_object *object;
  if (lua_type(L, idx) != LUA_TUSERDATA || lua_rawlen(L, idx) != size)
    return NULL;
  object = lua_touserdata(L, idx);
  return object->tag == tag ? object : NULL;
}

/* The same for self; raises "bad self to 'name' (tag expected, got ...)". The
 * tag is the name of the type. */
static inline void *uj_object_self(lua_State *L, size_t size, const char *tag,
                                   const char *name)
{
  void *object = uj_object_to(L, 1, size, tag);
  if (object == NULL)
    uj_arg_selferror(L, name, tag);
  return object;
}

#endif
