/* Slots are numbered places that keep values from being collected while C has
 * pointers to them. They are much cheaper than references in the registry, and
 * their memory can be given back after a burst.
 *
 * A slot is a user value of a chunk, a userdata that consists of nothing else.
 * So writing to a slot never allocates, growing copies nothing, and the
 * collector visits again only those chunks that were written to. */
#ifndef UJ_LUA_SLOTS_H
#define UJ_LUA_SLOTS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#define UJ_SLOTS_CHUNK 128U

struct uj_slots {
  lua_State *co;  /* has the chunks on its stack, and is never resumed */
  uint32_t *free; /* a stack of the free slots among 1 .. next - 1 */
  uint32_t nfree;
  uint32_t size; /* places in `free`: at least next */
  uint32_t next; /* the first slot that was never used */
  uint32_t room; /* the last slot for which there is a chunk */
  uint32_t few;  /* with fewer slots in use than this, most chunks are waste */
};

/* The caller keeps `co` from being collected. */
void uj_slots_init(struct uj_slots *slots, lua_State *co);
void uj_slots_term(struct uj_slots *slots, lua_State *L);

/* [-0, +0, m] Makes room for one more value: the next uj_slots_put() cannot
 * fail. */
void uj_slots_reserve(struct uj_slots *slots, lua_State *L);

/* [-1, +0, m] Puts the value on the top into a free slot, and returns that. It
 * is not 0. */
uint32_t uj_slots_put(struct uj_slots *slots, lua_State *L);

/* [-0, +1, -] Pushes the value of a slot, or nil or false when it is free. */
void uj_slots_push(const struct uj_slots *slots, lua_State *L, uint32_t slot);

/* [-0, +0, -] Frees a slot. */
void uj_slots_drop(struct uj_slots *slots, uint32_t slot);

/* The number of slots in use. */
static inline uint32_t uj_slots_used(const struct uj_slots *slots)
{
  return slots->next - 1 - slots->nfree;
}

/* Whether a burst has left far more room than is used. */
static inline bool uj_slots_sparse(const struct uj_slots *slots)
{
  return uj_slots_used(slots) < slots->few;
}

/* [-0, +0, -] Moves all values to the slots from 1 on, in order, and gives the
 * other chunks back. map[slot], if there is a map, becomes the new slot of
 * each. */
void uj_slots_compact(struct uj_slots *slots, lua_State *L, uint32_t *map);

#endif
