/* Memory for the many small blocks of one Lua state: coroutines, their stacks,
 * jobs, closures. It is not for several threads at once.
 *
 * Blocks of up to UJ_HEAP_LARGEST bytes come from *spans* of 32 KiB, each of
 * which has blocks of one size only, a multiple of 16. Spans are cut from
 * *chunks* of 2 MiB, which are cut, one after the other, from a reserved range
 * of addresses. So a block has no header, its span is found by its address, and
 * whether it is one of ours by comparing with the range. What is larger, and
 * what is more than the range can hold, comes from the allocator below.
 *
 * All but the first chunk ask for large pages: memory for a hundred thousand
 * jobs takes a page fault for 2 MiB, and not for 4 KiB.
 *
 * Invariants:
 *   - a span is free, current for its size, in the list of its size, or full;
 *   - a span with no block in use is free; or current, in a chunk with blocks;
 *   - chunks that have memory and a free span are in a list; those that have no
 *     block come last.
 *
 * After J. Bonwick: The Slab Allocator (1994), without constructors. */
#ifndef UJ_MEMORY_HEAP_H
#define UJ_MEMORY_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/link.h"

#define UJ_HEAP_STEP 16U
#define UJ_HEAP_LARGEST 2048U
#define UJ_HEAP_SIZES (UJ_HEAP_LARGEST / UJ_HEAP_STEP + 1)
#define UJ_HEAP_SPANS 64U     /* in a chunk */
#define UJ_HEAP_CHUNKS 32768U /* in the largest range */

/* Chunks without a block that keep their memory; or as many as have blocks. */
#define UJ_HEAP_KEPT 8U

/* As lua_Alloc: allocates, resizes and frees; making a block smaller never
 * fails. `old_size` is passed on to the allocator below; the heap knows its own
 * blocks, and is right also when the caller is not. */
typedef void *(*uj_allocator)(void *context, void *block, size_t old_size,
                              size_t new_size);

/* Its blocks: those of `free`, and those that were never used, from `fresh` to
 * `end`. */
struct uj_span {
  void *free; /* a list by their first word */
  char *fresh;
  char *end;
  struct uj_link link; /* in uj_heap::partial of its size; or self-linked */
  uint32_t size;       /* of a block */
  uint32_t used;       /* blocks */
};

/* At the beginning of its own 2 MiB, so its first span is shorter. */
struct uj_chunk {
  struct uj_link link; /* in uj_heap::roomy; self-linked when none is free */
  uint64_t free;       /* a bit for each free span */
  struct uj_span spans[UJ_HEAP_SPANS];
};

struct uj_heap {
  char *base; /* of the range */
  size_t size;
  uint32_t nchunks;                       /* from `base` on */
  uint32_t nbusy;                         /* of those, have blocks */
  uint32_t nempty;                        /* of those, have none, but memory */
  struct uj_span *current[UJ_HEAP_SIZES]; /* where to look first */
  struct uj_link partial[UJ_HEAP_SIZES];  /* of uj_span::link: have blocks */
  struct uj_link roomy;               /* of uj_chunk::link: have a free span */
  uint64_t bare[UJ_HEAP_CHUNKS / 64]; /* a bit for each without memory */
  struct uj_span none; /* is current where no other is: has no blocks */
  bool keeps_all;      /* the system takes nothing back */
  uj_allocator below;
  void *context; /* of that */
};

/* `size` is that of the range, of which whole chunks are used. Returns whether
 * it can be had: not more than UJ_HEAP_CHUNKS. */
bool uj_heap_init(struct uj_heap *heap, size_t size, uj_allocator below,
                  void *context);
/* All blocks of the heap are gone; those from below are not. */
void uj_heap_term(struct uj_heap *heap);

/* A uj_allocator: the context is the heap. */
void *uj_heap_realloc(void *heap, void *block, size_t old_size,
                      size_t new_size);

/* The memory of the range that is in use or kept. */
size_t uj_heap_committed(const struct uj_heap *heap);

/* Asserts the invariants; returns the number of blocks in use. */
uint64_t uj_heap_check(const struct uj_heap *heap);

#endif
