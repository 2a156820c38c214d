#include "lua/base/record.h"

#include <lauxlib.h>

/* The object is kept in a consistent state: until it has its record, its __gc
 * finds none. */
void *uj_record_push(struct uj_slots *slots, lua_State *L, const char *tag,
                     size_t size, int last, int values)
{
  struct uj_recorded *object = lua_newuserdatauv(L, sizeof(*object), last);
  struct uj_record *record;
  uj_object_init_counted(&object->object, tag);
  object->record = NULL;
  luaL_setmetatable(L, tag);
  record = lua_newuserdatauv(L, size, values);
  record->slot = 0;
  lua_pushvalue(L, -1);
  record->slot = uj_slots_put(slots, L);
  lua_setiuservalue(L, -2, UJ_RECORD_UV);
  object->record = record;
  return record;
}

void uj_record_release(struct uj_slots *slots, struct uj_record *record)
{
  if (record->slot != 0)
    uj_slots_drop(slots, record->slot);
  record->slot = 0;
}

void uj_records_compact(struct uj_slots *slots, lua_State *L)
{
  uj_slots_compact(slots, L, NULL);
  for (uint32_t slot = 1; slot < slots->next; slot++) {
    struct uj_record *record;
    uj_slots_push(slots, L, slot);
    record = lua_touserdata(L, -1);
    record->slot = slot;
    lua_pop(L, 1);
  }
}
