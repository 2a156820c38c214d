/* An allocator to put below the heap in tests: it can fail on demand. */
#ifndef SPEC_MEMORY_BELOW_H
#define SPEC_MEMORY_BELOW_H

#include "check.h"

#include "memory/heap.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
/* The most bytes that it ever gives. */
#define BELOW_MOST (64 * MIB)

/* Counts its blocks and their bytes. It fails when `fails` is set, except when
 * a block is made smaller. */
struct below {
  uint64_t ncalls;
  uint64_t nblocks;
  uint64_t nbytes;
  bool fails;
};

/* What lies before each of its blocks. */
struct below_header {
  struct below *owner;
  size_t size;
};

static inline void below_free(struct below *below, struct below_header *header)
{
  below->nblocks--;
  below->nbytes -= header->size;
  header->owner = NULL;
  free(header);
}

static inline void *below_new(struct below *below, size_t size)
{
  struct below_header *header = malloc(sizeof *header + size);
  if (header == NULL)
    abort();
  below->nblocks++;
  below->nbytes += size;
  header->owner = below;
  header->size = size;
  return header + 1;
}

/* A uj_allocator, whose blocks move whenever they can. */
static inline void *below_realloc(void *context, void *block, size_t old_size,
                                  size_t new_size)
{
  struct below *below = context;
  struct below_header *header = block;
  void *moved = NULL;
  below->ncalls++;
  if (block != NULL && (--header)->owner != below)
    abort();
  CHECK_EQ(old_size, block == NULL ? 0 : header->size);
  if (new_size > old_size && (below->fails || new_size > BELOW_MOST))
    return NULL;
  if (new_size > 0)
    moved = below_new(below, new_size);
  if (block != NULL && moved != NULL)
    memcpy(moved, block, old_size < new_size ? old_size : new_size);
  if (block != NULL)
    below_free(below, header);
  return moved;
}

#endif
