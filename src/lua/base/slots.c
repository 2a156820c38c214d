#include "lua/base/slots.h"

#include <lauxlib.h>
#include <stddef.h>

#include "lua/base/alloc.h"

/* The first size of `free`; and the room that is never too much. */
enum { FIRST_SIZE = 2 * UJ_SLOTS_CHUNK, SMALL_ROOM = 4096 };

static int chunk_of(uint32_t slot)
{
  return (int)((slot - 1) / UJ_SLOTS_CHUNK) + 1;
}

static int place_of(uint32_t slot)
{
  return (int)((slot - 1) % UJ_SLOTS_CHUNK) + 1;
}

static void set_room(struct uj_slots *slots, uint32_t room)
{
  slots->room = room;
  slots->few = room <= SMALL_ROOM ? 0 : room / 8;
}

void uj_slots_init(struct uj_slots *slots, lua_State *co)
{
  slots->co = co;
  slots->free = NULL;
  slots->nfree = 0;
  slots->size = 0;
  slots->next = 1;
  set_room(slots, 0);
}

void uj_slots_term(struct uj_slots *slots, lua_State *L)
{
  uj_alloc_free(L, slots->free, slots->size * sizeof(*slots->free));
  lua_settop(slots->co, 0);
  uj_slots_init(slots, slots->co);
}

/* [-0, +0, m] Adds a chunk. Making it can run finalizers, which can put values
 * into slots, too. `free` has room for all slots, so dropping one cannot fail.
 */
static void grow(struct uj_slots *slots, lua_State *L)
{
  if (!lua_checkstack(slots->co, LUA_MINSTACK))
    luaL_error(L, "not enough memory");
  lua_newuserdatauv(L, 0, (int)UJ_SLOTS_CHUNK);
  if (slots->room + UJ_SLOTS_CHUNK >= slots->size) {
    uint32_t size = slots->size == 0 ? FIRST_SIZE : slots->size * 2;
    slots->free =
        uj_alloc_resize(L, slots->free, slots->size * sizeof(*slots->free),
                        size * sizeof(*slots->free));
    slots->size = size;
  }
  lua_xmove(L, slots->co, 1);
  set_room(slots, slots->room + UJ_SLOTS_CHUNK);
}

void uj_slots_reserve(struct uj_slots *slots, lua_State *L)
{
  if (slots->nfree == 0 && slots->next > slots->room)
    grow(slots, L);
}

uint32_t uj_slots_put(struct uj_slots *slots, lua_State *L)
{
  uint32_t slot;
  uj_slots_reserve(slots, L);
  slot = slots->nfree > 0 ? slots->free[--slots->nfree] : slots->next++;
  lua_xmove(L, slots->co, 1);
  lua_setiuservalue(slots->co, chunk_of(slot), place_of(slot));
  return slot;
}

void uj_slots_push(const struct uj_slots *slots, lua_State *L, uint32_t slot)
{
  lua_getiuservalue(slots->co, chunk_of(slot), place_of(slot));
  lua_xmove(slots->co, L, 1);
}

void uj_slots_drop(struct uj_slots *slots, uint32_t slot)
{
  lua_pushboolean(slots->co, 0);
  lua_setiuservalue(slots->co, chunk_of(slot), place_of(slot));
  slots->free[slots->nfree++] = slot;
}

/* Makes `free` smaller, if the allocator can. */
static void shrink(struct uj_slots *slots, lua_State *L, uint32_t size)
{
  void *ud, *block;
  lua_Alloc alloc = lua_getallocf(L, &ud);
  if (size >= slots->size)
    return;
  block = alloc(ud, slots->free, slots->size * sizeof(*slots->free),
                size * sizeof(*slots->free));
  if (block == NULL)
    return;
  slots->free = block;
  slots->size = size;
}

static void set_used(struct uj_slots *slots, lua_State *L, uint32_t used)
{
  uint32_t chunks = (used + UJ_SLOTS_CHUNK - 1) / UJ_SLOTS_CHUNK;
  uint32_t size = FIRST_SIZE;
  lua_settop(slots->co, (int)chunks);
  set_room(slots, chunks * UJ_SLOTS_CHUNK);
  slots->next = used + 1;
  slots->nfree = 0;
  while (size <= slots->room)
    size *= 2;
  shrink(slots, L, size);
}

/* [-1, +0, -] Moves a value to a lower slot: that of `from`, which is on the
 * top of slots->co. */
static void move(struct uj_slots *slots, uint32_t from, uint32_t to)
{
  lua_setiuservalue(slots->co, chunk_of(to), place_of(to));
  lua_pushboolean(slots->co, 0);
  lua_setiuservalue(slots->co, chunk_of(from), place_of(from));
}

void uj_slots_compact(struct uj_slots *slots, lua_State *L, uint32_t *map)
{
  lua_State *co = slots->co;
  uint32_t used = 0;
  for (uint32_t slot = 1; slot < slots->next; slot++) {
    lua_getiuservalue(co, chunk_of(slot), place_of(slot));
    if (!lua_toboolean(co, -1)) {
      lua_pop(co, 1);
      continue;
    }
    if (map != NULL)
      map[slot] = used + 1;
    if (++used == slot)
      lua_pop(co, 1);
    else
      move(slots, slot, used);
  }
  set_used(slots, L, used);
}
