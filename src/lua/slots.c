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
  slots->compact = 0;
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
  slots->compact = size <= SMALL_SIZE ? 0 : size / 8;
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

/* The highest slot in use. */
static uint32_t last_used(const struct uj_slots *slots, struct uj_state *S)
{
  uint32_t last = 0;
  for (uint32_t slot = 1; slot < slots->next; slot++) {
    lua_rawgeti(S->hub, slots->place, slot);
    if (lua_toboolean(S->hub, -1))
      last = slot;
    lua_pop(S->hub, 1);
  }
  return last;
}

/* [-0, +1, m] Pushes a table with the first `count` slots. */
static void push_copy(const struct uj_slots *slots, struct uj_state *S,
                      lua_State *L, uint32_t count)
{
  lua_createtable(L, (int)count, 0);
  for (uint32_t slot = 1; slot <= count; slot++) {
    uj_slots_push(slots, S, L, slot);
    lua_rawseti(L, -2, slot);
  }
}

/* The free slots in descending order: the lowest is taken first. */
static void list_free(struct uj_slots *slots, struct uj_state *S)
{
  slots->nfree = 0;
  for (uint32_t slot = slots->next - 1; slot > 0; slot--) {
    lua_rawgeti(S->hub, slots->place, slot);
    if (!lua_toboolean(S->hub, -1))
      slots->free[slots->nfree++] = slot;
    lua_pop(S->hub, 1);
  }
}

/* A slot high up that stays in use stays where it is: then little is gained,
 * and it is tried again only when most of the rest has gone. */
void uj_slots_compact(struct uj_slots *slots, struct uj_state *S, lua_State *L)
{
  uint32_t last = last_used(slots, S), size = FIRST_SIZE;
  push_copy(slots, S, L, last);
  lua_xmove(L, S->hub, 1);
  lua_replace(S->hub, slots->place);
  slots->next = last + 1;
  list_free(slots, S);
  while (size < slots->next)
    size *= 2;
  if (size < slots->size)
    resize(slots, L, size);
  if (uj_slots_sparse(slots))
    slots->compact = uj_slots_used(slots) / 8;
}
