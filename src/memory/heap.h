/* A heap for the many small blocks of one Lua state: coroutines, their stacks,
 * jobs, closures. Only one thread may use it at a time.
 *
 * Blocks of up to UJ_HEAP_LARGEST bytes come from *spans* of 32 KiB, each of
 * which has blocks of one size only: a multiple of 16 up to 512 bytes, and few
 * sizes above. Spans are cut from *chunks* of 2 MiB, and chunks, one after the
 * other, from a reserved range of addresses. So a block needs no header: its
 * address tells whether it is ours, and which span it belongs to. Larger blocks
 * come from the allocator below.
 *
 * A span keeps its size for as long as one of its blocks is in use. A program
 * that goes through many sizes and keeps a few blocks of each would have more
 * and more memory that is free but of the wrong size. So no further span is cut
 * while the free blocks of all spans come to more than half of what is in use
 * and UJ_HEAP_SLACK: until they are used or their spans are free, blocks of
 * sizes that have none come from the allocator below. They do, too, when the
 * range is full.
 *
 * All chunks but the first ask for large pages, so the memory of a hundred
 * thousand jobs takes one page fault for each 2 MiB instead of each 4 KiB.
 *
 * Invariants:
 *   - a span is free, or current for its size, or in the list of its size, or
 *     full;
 *   - a span without a block in use is free, unless it is current and its chunk
 *     has blocks;
 *   - chunks with memory and a free span are in uj_heap::roomy, those without a
 *     block at the end of it;
 *   - uj_heap::cut is what the spans come to that are neither free nor current,
 *     and uj_heap::used what their blocks come to that are in use: so taking a
 *     block counts nothing.
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
#define UJ_HEAP_SIZES 43U     /* of blocks; the first is no size */
#define UJ_HEAP_SPANS 64U     /* in a chunk */
#define UJ_HEAP_CHUNKS 32768U /* in the largest range */

/* So many chunks without a block keep their memory, or as many as have blocks
 * if that is more. */
#define UJ_HEAP_KEPT 8U

/* So many bytes may be free in spans however little is in use. */
#define UJ_HEAP_SLACK ((size_t)4 << 20)

/* Allocates, resizes and frees, as lua_Alloc does; making a block smaller never
 * fails. `old_size` is only for the allocator below: the heap knows the sizes
 * of its own blocks, so a caller that is wrong about them does no harm. */
typedef void *(*uj_allocator)(void *context, void *block, size_t old_size,
                              size_t new_size);

/* Its free blocks are those in the list `free`, and those that were never used,
 * from `fresh` to `end`. */
struct uj_span {
  void *free; /* each block's first word points to the next */
  char *fresh;
  char *end;
  struct uj_link link; /* in uj_heap::partial of its size; or self-linked */
  uint16_t size;       /* of a block, in bytes */
  uint16_t kind;       /* the number of that size, in uj_heap::current */
  uint32_t used;       /* blocks in use */
};

/* Lies at the beginning of its 2 MiB, so its first span is shorter. */
struct uj_chunk {
  struct uj_link link; /* in uj_heap::roomy; self-linked if no span is free */
  uint64_t free;       /* one bit for each free span */
  struct uj_span spans[UJ_HEAP_SPANS];
};

struct uj_heap {
  char *base;       /* of the range */
  size_t size;      /* of the range */
  size_t cut;       /* bytes: see the invariants */
  size_t used;      /* bytes: see the invariants */
  uint32_t nchunks; /* cut from the range so far */
  uint32_t nbusy;   /* chunks that have blocks */
  uint32_t nempty;  /* chunks with memory, no blocks */
  uint8_t kinds[UJ_HEAP_LARGEST / UJ_HEAP_STEP + 1]; /* for so many steps: the
                                                        number of the size */
  struct uj_span *current[UJ_HEAP_SIZES]; /* for a size: allocates first */
  struct uj_link partial[UJ_HEAP_SIZES];  /* of uj_span::link: has free ones */
  struct uj_link roomy;               /* of uj_chunk::link: have a free span */
  uint64_t bare[UJ_HEAP_CHUNKS / 64]; /* one bit for each without memory */
  struct uj_span none; /* the current span where no other is: it is full */
  bool keeps_all;      /* the system takes no memory back */
  uj_allocator below;
  void *context; /* the context of `below` */
};

/* Reserves a range of `size` bytes, rounded down to whole chunks, of which
 * there may be UJ_HEAP_CHUNKS. Returns whether that was possible. */
bool uj_heap_init(struct uj_heap *heap, size_t size, uj_allocator below,
                  void *context);
/* Frees all blocks of the heap, but none of those from below. */
void uj_heap_term(struct uj_heap *heap);

/* A uj_allocator: the context is the heap. */
void *uj_heap_realloc(void *heap, void *block, size_t old_size,
                      size_t new_size);

/* The bytes of the block that a request for `size` bytes gets, of which there
 * are at most UJ_HEAP_LARGEST. */
size_t uj_heap_block_size(size_t size);

/* The bytes of the range that have memory. */
size_t uj_heap_committed(const struct uj_heap *heap);

/* Asserts the invariants; returns the number of blocks in use. */
uint64_t uj_heap_check(const struct uj_heap *heap);

#endif
