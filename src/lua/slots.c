#include "lua/slots.h"

#include <stddef.h>

#include "lua/state.h"

enum { FIRST_SIZE = 64 };

void uj_slots_init(struct uj_slots *slots)
{
  slots->free = NULL;
  slots->nfree = 0;
  slots->size = 0;
  slots->next = 1;
}

void uj_slots_term(struct uj_slots *slots, lua_State *L)
{
  uj_state_release(L, slots->free, slots->size * sizeof(*slots->free));
  uj_slots_init(slots);
}

/* Room for every slot to be freed: so that dropping one cannot fail. */
static void reserve(struct uj_slots *slots, lua_State *L)
{
  uint32_t size = slots->size == 0 ? FIRST_SIZE : slots->size * 2;
  slots->free =
      uj_state_realloc(L, slots->free, slots->size * sizeof(*slots->free),
                       size * sizeof(*slots->free));
  slots->size = size;
}

uint32_t uj_slots_put(struct uj_slots *slots, lua_State *L, int table)
{
  uint32_t slot;
  if (slots->nfree > 0) {
    slot = slots->free[slots->nfree - 1];
    lua_rawseti(L, table, slot);
    slots->nfree--;
    return slot;
  }
  if (slots->next >= slots->size)
    reserve(slots, L);
  slot = slots->next;
  lua_rawseti(L, table, slot);
  slots->next++;
  return slot;
}

void uj_slots_drop(struct uj_slots *slots, lua_State *L, int table,
                   uint32_t slot)
{
  lua_pushnil(L);
  lua_rawseti(L, table, slot); /* the key is there: nothing is allocated */
  slots->free[slots->nfree++] = slot;
}

/* [-0, +0, m] Copies what is used; returns the highest used slot. */
static uint32_t copy_used(struct uj_slots *slots, lua_State *L, int from,
                          int to)
{
  uint32_t last = 0;
  for (uint32_t slot = 1; slot < slots->next; slot++) {
    if (lua_rawgeti(L, from, slot) == LUA_TNIL) {
      lua_pop(L, 1);
      continue;
    }
    lua_rawseti(L, to, slot);
    last = slot;
  }
  return last;
}

/* The free slots in descending order: the lowest is taken first. */
static void list_free(struct uj_slots *slots, lua_State *L, int table)
{
  slots->nfree = 0;
  for (uint32_t slot = slots->next - 1; slot > 0; slot--) {
    if (lua_rawgeti(L, table, slot) == LUA_TNIL)
      slots->free[slots->nfree++] = slot;
    lua_pop(L, 1);
  }
}

void uj_slots_compact(struct uj_slots *slots, lua_State *L, int table)
{
  uint32_t size = FIRST_SIZE;
  table = lua_absindex(L, table);
  lua_newtable(L);
  slots->next = copy_used(slots, L, table, table + 1) + 1;
  list_free(slots, L, table + 1);
  lua_remove(L, table);
  while (size < slots->next)
    size *= 2;
  if (size < slots->size) {
    slots->free =
        uj_state_realloc(L, slots->free, slots->size * sizeof(*slots->free),
                         size * sizeof(*slots->free));
    slots->size = size;
  }
}
