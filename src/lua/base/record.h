/* Objects in two parts, for those that lists of C refer to.
 *
 * Lua frees an object without having called its __gc when the stack of C calls,
 * or its own stack, has no room for that call. An object that is on a list of C
 * would then be freed while it is on the list. So what is on the list is not
 * the object but its record, a userdata of its own, which a slot keeps from
 * being collected until __gc has run. If __gc is never called, the record stays
 * where it is until the Lua state closes, as that of an object which nobody
 * uses.
 *
 * The object keeps the record, too: a finalizer of the program can make it
 * reachable again after its __gc. */
#ifndef UJ_LUA_BASE_RECORD_H
#define UJ_LUA_BASE_RECORD_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#include "lua/base/object.h"
#include "lua/base/slots.h"

/* The first user value of an object with a record; its own ones follow. */
enum { UJ_RECORD_UV = 1 };

/* The first member of a record. */
struct uj_record {
  uint32_t slot; /* keeps it; 0 when __gc has run */
};

struct uj_recorded {
  struct uj_counted_object object;
  void *record; /* NULL while the object is being made */
};

/* [-0, +1, m] Pushes a new object of the type `tag`, whose metatable is
 * registered, with a record of `size` bytes, of which only the struct uj_record
 * is initialised. `last` is the last user value of the object, and `values` the
 * number of those of the record. Returns the record. */
void *uj_record_push(struct uj_slots *slots, lua_State *L, const char *tag,
                     size_t size, int last, int values);

/* The record of the object at idx, which has one. */
static inline void *uj_record_at(lua_State *L, int idx)
{
  return ((const struct uj_recorded *)lua_touserdata(L, idx))->record;
}

/* The record of the object at idx if it is of that type, and NULL otherwise. */
static inline void *uj_record_to(lua_State *L, int idx, const char *tag)
{
  const struct uj_recorded *object = uj_object_to(L, idx, tag);
  return object != NULL ? object->record : NULL;
}

/* The record of self; raises as uj_object_self() does. */
static inline void *uj_record_self(lua_State *L, const char *tag,
                                   const char *name)
{
  return ((const struct uj_recorded *)uj_object_self(L, tag, name))->record;
}

/* [-0, +0, -] For __gc, when no list refers to the record any more. It may be
 * called twice. */
void uj_record_release(struct uj_slots *slots, struct uj_record *record);

/* [-0, +0, -] Gives memory back that a burst of objects took for slots. */
void uj_records_compact(struct uj_slots *slots, lua_State *L);

#endif
