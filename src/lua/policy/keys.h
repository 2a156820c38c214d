/* The buckets of a rate that has one for each key.
 *
 * A key is any Lua value. There are never more buckets than `most`. When there
 * are as many, a new key takes the place of one whose bucket is full again,
 * which loses nothing; if none is full, of the one that will be full first.
 * From then on every new bucket begins as empty as that one was (`floor`), so
 * that a key that was dropped cannot come back for more than it may have.
 *
 * A bucket takes 40 bytes, its key 16 besides the value itself, and its share
 * of the hash table 4 at most. */
#ifndef UJ_LUA_POLICY_KEYS_H
#define UJ_LUA_POLICY_KEYS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/rate.h"
#include "core/timers.h"

struct uj_key_line;

/* A bucket, with the time at which it is full as the due time of a timer. */
struct uj_key {
  struct uj_timer full; /* in uj_keys::idle while no job waits; otherwise
                           link.prev is NULL, and link.next points to the line
                           of those that do */
  uint64_t part;        /* the part of a nanosecond by which it is full later
                           than `full` says */
  uint32_t next;        /* in the same place of the hash table, or among those
                           that are free */
  uint32_t index;       /* of itself, from 1 on; 0 when it is free */
};

struct uj_keys {
  struct uj_timers idle;  /* those for which no job waits */
  struct uj_key **chunks; /* each in a userdata, with the keys as its user
                             values */
  uint32_t *heads;        /* the first bucket of each place; 0 for none */
  uint32_t nchunks;
  uint32_t nheads; /* a power of two, or 0 */
  uint32_t free;   /* the first of those that are free, or 0 */
  uint32_t count;
  uint32_t most;
  uint32_t seed;
  struct uj_bucket floor; /* a new bucket is like this one */
};

static inline struct uj_bucket uj_key_bucket(const struct uj_key *key)
{
  return (struct uj_bucket){{key->full.due_ns, key->part}};
}

/* The line of jobs that wait for the bucket, or NULL. */
static inline struct uj_key_line *uj_key_line(const struct uj_key *key)
{
  return key->full.link.prev == NULL ? (void *)key->full.link.next : NULL;
}

void uj_keys_init(struct uj_keys *keys, uint32_t most, uint64_t now_ns);
/* [-0, +0, -] */
void uj_keys_term(struct uj_keys *keys, lua_State *L);

/* In the following the owner, at index 1, has as its first user value a table
 * for the chunks.
 *
 * [-0, +0, m] The bucket of the key at idx; a new one if there is none. NULL
 * when there are too many, and jobs wait for each. */
struct uj_key *uj_keys_get(struct uj_keys *keys, lua_State *L, int idx,
                           uint64_t now_ns);

/* Changes a bucket for which no job waits. */
void uj_keys_set(struct uj_keys *keys, struct uj_key *key,
                 struct uj_bucket bucket);

/* [-0, +0, m] Drops all, for another clock. No job waits. */
void uj_keys_clear(struct uj_keys *keys, lua_State *L, uint64_t now_ns);

/* The bucket with an index, or NULL when it is free; of 1 to uj_keys_room(). */
struct uj_key *uj_keys_at(const struct uj_keys *keys, uint32_t index);
uint32_t uj_keys_room(const struct uj_keys *keys);

#endif
