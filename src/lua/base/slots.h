/* Numbered places: to keep a value from being collected while C holds a pointer
 * to it. Much cheaper than registry references, and they get few again after a
 * burst.
 *
 * A place is a user value of a userdata that is nothing but such places, a
 * chunk. Writing to one never allocates, and what is growing is not copied; the
 * collector looks again at those chunks only that were written to. */
#ifndef UJ_LUA_SLOTS_H
#define UJ_LUA_SLOTS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#define UJ_SLOTS_CHUNK 128U

struct uj_slots {
  lua_State *co;  /* a coroutine that is never resumed: the chunks lie on it */
  uint32_t *free; /* a stack of the free slots among 1 .. next - 1 */
  uint32_t nfree;
  uint32_t size; /* places in `free`: at least next */
  uint32_t next; /* the first slot that was never used */
  uint32_t room; /* the last slot for which there is a chunk */
  uint32_t few;  /* with fewer than this in use there are too many chunks */
};

/* `co` is the caller's to keep. */
void uj_slots_init(struct uj_slots *slots, lua_State *co);
void uj_slots_term(struct uj_slots *slots, lua_State *L);

/* [-1, +0, m] Takes the value on the top, and returns its slot, which is not
 * 0. */
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
