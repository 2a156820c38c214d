/* A heap for tests, whose blocks are filled with patterns of their own, so that
 * blocks that overlap are found. */
#ifndef SPEC_MEMORY_BLOCKS_H
#define SPEC_MEMORY_BLOCKS_H

#include "below.h"

/* Sizes that memory/heap.h promises. */
#define CHUNK (2 * MIB)
#define SPAN (32 * KIB)
#define HEADER sizeof(struct uj_chunk)
#define BIG UJ_HEAP_LARGEST
#define BIGS_IN_FIRST_SPAN ((SPAN - HEADER) / BIG)
#define BIGS_IN_SPAN (SPAN / BIG)
#define BIGS_IN_CHUNK (BIGS_IN_FIRST_SPAN + (UJ_HEAP_SPANS - 1) * BIGS_IN_SPAN)

static struct uj_heap heap;
static struct below below;
static uint64_t live; /* blocks of the heap that are in use */

static inline bool is_inside(const struct uj_heap *of, const void *block)
{
  return (uintptr_t)block - (uintptr_t)of->base < of->size;
}

/* ---- what blocks hold --------------------------------------------------- */

/* A number for this block: one of another address or size has another. */
static inline uint64_t stamp_of(const void *block, size_t size)
{
  uint64_t seed = (uintptr_t)block + ((uint64_t)size << 47);
  return check_random(&seed);
}

static inline void fill(void *block, size_t size)
{
  uint64_t word = stamp_of(block, size);
  char *to = block;
  for (; size >= sizeof word; to += sizeof word, size -= sizeof word, word++)
    memcpy(to, &word, sizeof word);
  memcpy(to, &word, size);
}

/* Whether the first bytes are those that a block of that stamp had. */
static inline bool holds(const void *block, size_t size, uint64_t stamp)
{
  const char *at = block;
  uint64_t word;
  for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
    memcpy(&word, at, sizeof word);
    if (word != stamp++)
      return false;
  }
  return memcmp(at, &stamp, size) == 0;
}

/* ---- blocks ------------------------------------------------------------ */

static inline void init(size_t size)
{
  memset(&below, 0, sizeof below);
  live = 0;
  CHECK(uj_heap_init(&heap, size, below_realloc, &below));
}

static inline void check(void)
{
  CHECK_EQ(uj_heap_check(&heap), live);
}

static inline void term(void)
{
  check();
  CHECK_EQ(live, 0);
  CHECK_EQ(below.nblocks, 0);
  CHECK_EQ(below.nbytes, 0);
  uj_heap_term(&heap);
}

static inline void *take(size_t size)
{
  void *block = uj_heap_realloc(&heap, NULL, 0, size);
  CHECK(block != NULL);
  CHECK_EQ((uintptr_t)block % UJ_HEAP_STEP, 0);
  live += is_inside(&heap, block);
  fill(block, size);
  return block;
}

static inline void give(void *block, size_t size)
{
  live -= is_inside(&heap, block);
  CHECK(holds(block, size, stamp_of(block, size)));
  CHECK(uj_heap_realloc(&heap, block, size, 0) == NULL);
}

static inline void *resize(void *block, size_t old_size, size_t new_size)
{
  uint64_t stamp = stamp_of(block, old_size);
  bool was_inside = is_inside(&heap, block);
  block = uj_heap_realloc(&heap, block, old_size, new_size);
  CHECK(block != NULL);
  CHECK_EQ((uintptr_t)block % UJ_HEAP_STEP, 0);
  CHECK(holds(block, old_size < new_size ? old_size : new_size, stamp));
  live += (uint64_t)is_inside(&heap, block) - was_inside;
  fill(block, new_size);
  return block;
}

/* Allocates so many blocks of a size. */
static inline void **take_many(size_t count, size_t size)
{
  void **blocks = malloc(count * sizeof *blocks);
  for (size_t i = 0; i < count; i++)
    blocks[i] = take(size);
  check();
  return blocks;
}

/* Frees those of them that are left: each step-th one, then each one behind
 * those, and so on. */
static inline void give_many(void **blocks, size_t count, size_t size,
                             size_t step)
{
  for (size_t first = 0; first < step; first++)
    for (size_t i = first; i < count; i += step)
      if (blocks[i] != NULL)
        give(blocks[i], size);
  free(blocks);
  check();
}

#endif
