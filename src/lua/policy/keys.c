#include "lua/policy/keys.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/base/alloc.h"

enum { CHUNK = 128, FIRST_HEADS = 16, UV_CHUNKS = 1 };

#define GOLDEN UINT64_C(0x9E3779B97F4A7C15) /* 2^64 / golden ratio, odd */

void uj_keys_init(struct uj_keys *keys, uint32_t most, uint64_t now_ns)
{
  memset(keys, 0, sizeof(*keys));
  uj_timers_init(&keys->idle, now_ns);
  keys->most = most;
  /* The address makes it hard to guess which keys share a place. Only the order
   * in the hash table depends on the seed, and nobody sees that. */
  keys->seed = (uint32_t)(((uintptr_t)keys >> 4) * GOLDEN >> 32);
}

void uj_keys_term(struct uj_keys *keys, lua_State *L)
{
  uj_alloc_free(L, keys->chunks, keys->nchunks * sizeof(void *));
  uj_alloc_free(L, keys->heads, keys->nheads * sizeof(*keys->heads));
  keys->chunks = NULL;
  keys->heads = NULL;
  keys->nchunks = 0;
  keys->nheads = 0;
  keys->free = 0;
  keys->count = 0;
}

/* ---- indices ------------------------------------------------------------- */

static struct uj_key *at(const struct uj_keys *keys, uint32_t index)
{
  return &keys->chunks[(index - 1) / CHUNK][(index - 1) % CHUNK];
}

static int place_in_chunk(uint32_t index)
{
  return (int)((index - 1) % CHUNK) + 1;
}

uint32_t uj_keys_room(const struct uj_keys *keys)
{
  return keys->nchunks * CHUNK;
}

struct uj_key *uj_keys_at(const struct uj_keys *keys, uint32_t index)
{
  struct uj_key *key = at(keys, index);
  return key->index != 0 ? key : NULL;
}

/* [-0, +1, -] Pushes the userdata that has the bucket and its key. */
static void push_chunk(lua_State *L, uint32_t index)
{
  lua_getiuservalue(L, 1, UV_CHUNKS);
  lua_rawgeti(L, -1, (index - 1) / CHUNK + 1);
  lua_remove(L, -2);
}

/* [-0, +1, -] Pushes the key itself. */
static void push_value(lua_State *L, uint32_t index)
{
  push_chunk(L, index);
  lua_getiuservalue(L, -1, place_in_chunk(index));
  lua_remove(L, -2);
}

/* [-1, +0, -] Sets the key to the value on the top. */
static void set_value(lua_State *L, uint32_t index)
{
  push_chunk(L, index);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, place_in_chunk(index));
  lua_pop(L, 1);
}

/* [-0, +0, m] Adds a chunk, all of whose buckets are free. Making it can run
 * finalizers, which can use the rate, too. */
static void grow(struct uj_keys *keys, lua_State *L)
{
  struct uj_key *chunk;
  uint32_t n;
  lua_getiuservalue(L, 1, UV_CHUNKS);
  chunk = lua_newuserdatauv(L, CHUNK * sizeof(*chunk), CHUNK);
  memset(chunk, 0, CHUNK * sizeof(*chunk));
  n = keys->nchunks;
  lua_rawseti(L, -2, n + 1);
  lua_pop(L, 1);
  keys->chunks = uj_alloc_resize(L, keys->chunks, n * sizeof(void *),
                                 (n + 1) * sizeof(void *));
  keys->chunks[n] = chunk;
  keys->nchunks = n + 1;
  for (uint32_t i = CHUNK; i > 0; i--) {
    chunk[i - 1].next = keys->free;
    keys->free = n * CHUNK + i;
  }
}

/* ---- the hash table ------------------------------------------------------ */

static uint32_t mix(uint32_t seed, uint64_t bits)
{
  bits = (bits ^ seed) * GOLDEN;
  return (uint32_t)(bits >> 32) ^ (uint32_t)bits;
}

static uint32_t hash_string(uint32_t seed, const char *text, size_t length)
{
  uint64_t hash = seed ^ length, word;
  for (; length >= sizeof(word); length -= sizeof(word), text += sizeof(word)) {
    memcpy(&word, text, sizeof(word));
    hash = (hash ^ word) * GOLDEN;
    hash ^= hash >> 32;
  }
  word = 0;
  memcpy(&word, text, length);
  return mix(seed, hash ^ word);
}

static uint32_t hash_number(uint32_t seed, lua_State *L, int idx)
{
  int is_integer;
  lua_Integer integer = lua_tointegerx(L, idx, &is_integer);
  double number = (double)lua_tonumber(L, idx);
  uint64_t bits;
  if (is_integer) /* 1 and 1.0 are the same key */
    return mix(seed, (uint64_t)integer);
  memcpy(&bits, &number, sizeof(bits));
  return mix(seed, bits);
}

static uint32_t hash_of(const struct uj_keys *keys, lua_State *L, int idx)
{
  const char *text;
  size_t length;
  switch (lua_type(L, idx)) {
  case LUA_TSTRING:
    text = lua_tolstring(L, idx, &length);
    return hash_string(keys->seed, text, length);
  case LUA_TNUMBER:
    return hash_number(keys->seed, L, idx);
  case LUA_TBOOLEAN:
    return mix(keys->seed, (uint64_t)lua_toboolean(L, idx));
  default:
    return mix(keys->seed, (uintptr_t)lua_topointer(L, idx));
  }
}

static uint32_t *place_of(const struct uj_keys *keys, lua_State *L, int idx)
{
  return &keys->heads[hash_of(keys, L, idx) & (keys->nheads - 1)];
}

static bool has_value(lua_State *L, uint32_t index, int idx)
{
  bool is_equal;
  push_value(L, index);
  is_equal = lua_rawequal(L, idx, -1);
  lua_pop(L, 1);
  return is_equal;
}

static struct uj_key *find(const struct uj_keys *keys, lua_State *L, int idx)
{
  uint32_t index;
  if (keys->nheads == 0)
    return NULL;
  index = *place_of(keys, L, idx);
  while (index != 0 && !has_value(L, index, idx))
    index = at(keys, index)->next;
  return index != 0 ? at(keys, index) : NULL;
}

/* The key is at idx. */
static void link_in(struct uj_keys *keys, lua_State *L, int idx,
                    struct uj_key *key)
{
  uint32_t *place = place_of(keys, L, idx);
  key->next = *place;
  *place = key->index;
}

/* [-0, +0, m] Doubles the hash table. It is done when there are two buckets for
 * each place. */
static void grow_heads(struct uj_keys *keys, lua_State *L)
{
  uint32_t size = keys->nheads == 0 ? FIRST_HEADS : keys->nheads * 2;
  keys->heads =
      uj_alloc_resize(L, keys->heads, keys->nheads * sizeof(*keys->heads),
                      size * sizeof(*keys->heads));
  keys->nheads = size;
  memset(keys->heads, 0, size * sizeof(*keys->heads));
  for (uint32_t index = 1; index <= uj_keys_room(keys); index++) {
    struct uj_key *key = uj_keys_at(keys, index);
    if (key == NULL)
      continue;
    push_value(L, index);
    link_in(keys, L, lua_gettop(L), key);
    lua_pop(L, 1);
  }
}

/* ---- dropping ------------------------------------------------------------ */

/* [-0, +0, -] Frees a bucket that was taken out of `idle`. */
static void drop(struct uj_keys *keys, lua_State *L, struct uj_key *key)
{
  uint32_t index = key->index, *place;
  push_value(L, index);
  place = place_of(keys, L, lua_gettop(L));
  lua_pop(L, 1);
  while (*place != index)
    place = &at(keys, *place)->next;
  *place = key->next;
  lua_pushnil(L);
  set_value(L, index);
  key->index = 0;
  key->next = keys->free;
  keys->free = index;
  keys->count--;
}

static struct uj_key *pop(struct uj_keys *keys, uint64_t now_ns)
{
  struct uj_timer *timer = uj_timers_pop(&keys->idle, now_ns);
  return timer != NULL ? uj_container(timer, struct uj_key, full) : NULL;
}

/* [-0, +0, -] Makes room for a new bucket; returns false when there is none.
 * Up to two full buckets are dropped for each new one, so that the table does
 * not stay large for ever. A bucket that gets full in the middle of the current
 * nanosecond does not count as full. */
static bool make_room(struct uj_keys *keys, lua_State *L, uint64_t now_ns)
{
  struct uj_key *key;
  uint64_t due_ns;
  for (int i = 0; i < 2 && now_ns > 0 && (key = pop(keys, now_ns - 1)); i++)
    drop(keys, L, key);
  if (keys->count < keys->most)
    return true;
  while ((due_ns = uj_timers_due(&keys->idle)) != UJ_NEVER) {
    key = pop(keys, due_ns);
    if (key == NULL)
      continue; /* uj_timers_due() may name a time that is too early */
    keys->floor = uj_key_bucket(key);
    drop(keys, L, key);
    return true;
  }
  return false;
}

/* ---- for rates ----------------------------------------------------------- */

/* [-0, +0, -] Makes a bucket of one that is free. */
static struct uj_key *add(struct uj_keys *keys, lua_State *L, int idx)
{
  uint32_t index = keys->free;
  struct uj_key *key = at(keys, index);
  keys->free = key->next;
  keys->count++;
  key->index = index;
  lua_pushvalue(L, idx);
  set_value(L, index);
  link_in(keys, L, idx, key);
  uj_timer_init(&key->full);
  uj_keys_set(keys, key, keys->floor);
  return key;
}

struct uj_key *uj_keys_get(struct uj_keys *keys, lua_State *L, int idx,
                           uint64_t now_ns)
{
  struct uj_key *key = find(keys, L, idx);
  if (key != NULL)
    return key;
  if (keys->free == 0 && keys->count < keys->most) {
    grow(keys, L);
    return uj_keys_get(keys, L, idx, now_ns); /* it may be there by now */
  }
  if (!make_room(keys, L, now_ns))
    return NULL;
  if (keys->count >= keys->nheads * 2)
    grow_heads(keys, L);
  return add(keys, L, idx);
}

void uj_keys_set(struct uj_keys *keys, struct uj_key *key,
                 struct uj_bucket bucket)
{
  uj_timers_remove(&keys->idle, &key->full);
  key->part = bucket.full.part;
  uj_timers_add(&keys->idle, &key->full, bucket.full.ns);
}

void uj_keys_clear(struct uj_keys *keys, lua_State *L, uint64_t now_ns)
{
  for (uint32_t index = 1; index <= uj_keys_room(keys); index++) {
    struct uj_key *key = uj_keys_at(keys, index);
    if (key != NULL)
      drop(keys, L, key);
  }
  keys->floor = (struct uj_bucket){{0, 0}};
  uj_timers_init(&keys->idle, now_ns);
}
