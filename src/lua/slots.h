/* Numbered places in a Lua table: to keep a value from being collected while C
 * holds a pointer to it. Much cheaper than registry references, and the table
 * gets small again after a burst. */
#ifndef UJ_LUA_SLOTS_H
#define UJ_LUA_SLOTS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct uj_slots {
  uint32_t *free; /* a stack of the free slots among 1 .. next - 1 */
  uint32_t nfree;
  uint32_t size; /* places in `free`: at least next */
  uint32_t next; /* the first slot that was never used */
};

void uj_slots_init(struct uj_slots *slots);
void uj_slots_term(struct uj_slots *slots, lua_State *L);

/* [-1, +0, m] Takes the value on the top into the table at `table`, and
 * returns its slot. */
uint32_t uj_slots_put(struct uj_slots *slots, lua_State *L, int table);

/* [-0, +0, -] Frees a slot. */
void uj_slots_drop(struct uj_slots *slots, lua_State *L, int table,
                   uint32_t slot);

/* The number of slots in use. */
static inline uint32_t uj_slots_used(const struct uj_slots *slots)
{
  return slots->next - 1 - slots->nfree;
}

/* Whether a burst has left far more room than is used. */
static inline bool uj_slots_sparse(const struct uj_slots *slots)
{
  return slots->size > 4096 && uj_slots_used(slots) < slots->size / 8;
}

/* [-1, +1, m] Replaces the table on the top by a small one with the same
 * values in the same slots, and forgets the free slots above them. */
void uj_slots_compact(struct uj_slots *slots, lua_State *L, int table);

#endif
