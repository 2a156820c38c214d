/* Numbered places in a table on the hub: to keep a value from being collected
 * while C holds a pointer to it. Much cheaper than registry references, and the
 * table gets small again after a burst.
 *
 * A free slot below `next` holds false: so that writing to it never allocates,
 * and can be done on the hub. */
#ifndef UJ_LUA_SLOTS_H
#define UJ_LUA_SLOTS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct uj_state;

struct uj_slots {
  int place;      /* enum uj_hub: where the table is */
  uint32_t *free; /* a stack of the free slots among 1 .. next - 1 */
  uint32_t nfree;
  uint32_t size; /* places in `free`: at least next */
  uint32_t next; /* the first slot that was never used */
  uint32_t few;  /* with fewer than this in use the table is too big */
};

void uj_slots_init(struct uj_slots *slots, int place);
void uj_slots_term(struct uj_slots *slots, lua_State *L);

/* [-1, +0, m] Takes the value on the top, and returns its slot. */
uint32_t uj_slots_put(struct uj_slots *slots, struct uj_state *S, lua_State *L);

/* [-0, +1, -] Pushes the value of a slot. */
void uj_slots_push(const struct uj_slots *slots, struct uj_state *S,
                   lua_State *L, uint32_t slot);

/* [-0, +0, -] Frees a slot. */
void uj_slots_drop(struct uj_slots *slots, struct uj_state *S, uint32_t slot);

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

/* [-1, +0, m] Replaces the table by the one on the top, which has the values
 * that are in use in the slots 1 .. used. */
void uj_slots_renumber(struct uj_slots *slots, struct uj_state *S, lua_State *L,
                       uint32_t used);

#endif
