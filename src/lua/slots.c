#include "lua/slots.h"

#include <stddef.h>

#include "lua/state.h"

/* The first size, and up to which size nobody minds. */
enum { FIRST_SIZE = 64, SMALL_SIZE = 4096 };

void uj_slots_init(struct uj_slots *slots, int place)
{
  slots->place = place;
  slots->free = NULL;
  slots->nfree = 0;
  slots->size = 0;
  slots->next = 1;
  slots->few = 0;
}

void uj_slots_term(struct uj_slots *slots, lua_State *L)
{
  uj_state_release(L, slots->free, slots->size * sizeof(*slots->free));
  uj_slots_init(slots, slots->place);
}

static void resize(struct uj_slots *slots, lua_State *L, uint32_t size)
{
  slots->free =
      uj_state_realloc(L, slots->free, slots->size * sizeof(*slots->free),
                       size * sizeof(*slots->free));
  slots->size = size;
  slots->few = size <= SMALL_SIZE ? 0 : size / 8;
}

/* [-1, +0, m] The table grows: on a stack where that may fail. There is room
 * for every slot to be freed, so that dropping one cannot fail. */
static uint32_t put_new(struct uj_slots *slots, struct uj_state *S,
                        lua_State *L)
{
  if (slots->next >= slots->size)
    resize(slots, L, slots->size == 0 ? FIRST_SIZE : slots->size * 2);
  uj_state_push_hub(S, L, slots->place);
  lua_insert(L, -2);
  lua_rawseti(L, -2, slots->next);
  lua_pop(L, 1);
  return slots->next++;
}

uint32_t uj_slots_put(struct uj_slots *slots, struct uj_state *S, lua_State *L)
{
  uint32_t slot;
  if (slots->nfree == 0)
    return put_new(slots, S, L);
  slot = slots->free[--slots->nfree];
  lua_xmove(L, S->hub, 1);
  lua_rawseti(S->hub, slots->place, slot);
  return slot;
}

void uj_slots_push(const struct uj_slots *slots, struct uj_state *S,
                   lua_State *L, uint32_t slot)
{
  lua_rawgeti(S->hub, slots->place, slot);
  lua_xmove(S->hub, L, 1);
}

void uj_slots_drop(struct uj_slots *slots, struct uj_state *S, uint32_t slot)
{
  lua_pushboolean(S->hub, 0);
  lua_rawseti(S->hub, slots->place, slot);
  slots->free[slots->nfree++] = slot;
}

void uj_slots_renumber(struct uj_slots *slots, struct uj_state *S, lua_State *L,
                       uint32_t used)
{
  uint32_t size = FIRST_SIZE;
  while (size <= used)
    size *= 2;
  slots->next = used + 1;
  slots->nfree = 0;
  lua_xmove(L, S->hub, 1);
  lua_replace(S->hub, slots->place);
  if (size < slots->size)
    resize(slots, L, size);
}
