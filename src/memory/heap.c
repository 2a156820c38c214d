#include "memory/heap.h"

#include <assert.h>
#include <string.h>

#include "memory/pages.h"

#define SPAN_BITS 15
#define SPAN_SIZE ((size_t)1 << SPAN_BITS)
#define CHUNK_SIZE (SPAN_SIZE * UJ_HEAP_SPANS)
#define ALL_FREE UINT64_MAX

/* ---- sizes -------------------------------------------------------------- */

/* The sizes of blocks above SMALL, where not each multiple of a step is one. At
 * most a fifth of a block is lost. Among them are those that Lua asks for most:
 * arrays of 16 and hashes of 24 bytes times a power of two, and the first stack
 * of a coroutine, of 720 bytes. */
#define SMALL 512U
static const uint16_t large_sizes[] = {576,  640,  720,  768,  896,
                                       1024, 1280, 1536, 1792, 2048};

static size_t size_of_kind(size_t kind)
{
  return kind <= SMALL / UJ_HEAP_STEP
             ? kind * UJ_HEAP_STEP
             : large_sizes[kind - SMALL / UJ_HEAP_STEP - 1];
}

static size_t steps_of(size_t size)
{
  return (size + UJ_HEAP_STEP - 1) / UJ_HEAP_STEP;
}

size_t uj_heap_block_size(size_t size)
{
  size_t kind = 0;
  while (size_of_kind(kind) < size)
    kind++;
  return size_of_kind(kind);
}

static void init_kinds(struct uj_heap *heap)
{
  uint8_t kind = 0;
  for (size_t i = 0; i <= UJ_HEAP_LARGEST / UJ_HEAP_STEP; i++) {
    if (size_of_kind(kind) < i * UJ_HEAP_STEP)
      kind++;
    heap->kinds[i] = kind;
  }
}

/* ---- chunks ------------------------------------------------------------- */

static struct uj_chunk *chunk_at(const struct uj_heap *heap, uint32_t i)
{
  return (struct uj_chunk *)(void *)(heap->base + (size_t)i * CHUNK_SIZE);
}

static struct uj_chunk *chunk_of(void *block)
{
  size_t offset = (uintptr_t)block & (CHUNK_SIZE - 1);
  return (struct uj_chunk *)(void *)((char *)block - offset);
}

static bool is_ours(const struct uj_heap *heap, const void *block)
{
  return (uintptr_t)block - (uintptr_t)heap->base < heap->size;
}

/* The first block of a span. In the chunk's first span it comes after the
 * header of the chunk. */
static char *first_block(struct uj_chunk *chunk, unsigned i)
{
  size_t skip = i > 0 ? 0
                      : (sizeof(struct uj_chunk) + UJ_HEAP_STEP - 1) /
                            UJ_HEAP_STEP * UJ_HEAP_STEP;
  return (char *)chunk + i * SPAN_SIZE + skip;
}

static bool is_bare(const struct uj_heap *heap, uint32_t i)
{
  return heap->bare[i / 64] >> i % 64 & 1;
}

/* The first chunk whose memory was given back, or else the next of the range.
 */
static uint32_t bare_chunk(const struct uj_heap *heap)
{
  for (uint32_t i = 0; i * 64 < heap->nchunks; i++)
    if (heap->bare[i] != 0)
      return i * 64 + (uint32_t)__builtin_ctzll(heap->bare[i]);
  return heap->nchunks;
}

/* The first chunk has small pages. Most programs need no other chunk, and one
 * large page would be more memory than they use in all. */
static bool extend(struct uj_heap *heap)
{
  struct uj_chunk *chunk = chunk_at(heap, heap->nchunks);
  if ((size_t)(heap->nchunks + 1) * CHUNK_SIZE > heap->size ||
      !uj_pages_commit(chunk, CHUNK_SIZE, heap->nchunks > 0))
    return false;
  heap->nchunks++;
  return true;
}

static struct uj_chunk *add_chunk(struct uj_heap *heap)
{
  uint32_t i = bare_chunk(heap);
  struct uj_chunk *chunk = chunk_at(heap, i);
  if (i == heap->nchunks && !extend(heap))
    return NULL;
  heap->bare[i / 64] &= ~(UINT64_C(1) << i % 64);
  heap->nempty++;
  chunk->free = ALL_FREE;
  uj_link_init(&chunk->link);
  uj_link_append(&heap->roomy, &chunk->link);
  return chunk;
}

/* Gives back the memory of a chunk, including its header: the system takes a
 * large page only as a whole. If it does not take it, it is not asked again. */
static void discard(struct uj_heap *heap, struct uj_chunk *chunk)
{
  size_t i = (size_t)((char *)chunk - heap->base) / CHUNK_SIZE;
  uj_link_remove(&chunk->link);
  if (!uj_pages_discard(chunk, CHUNK_SIZE)) {
    uj_link_append(&heap->roomy, &chunk->link);
    heap->keeps_all = true;
    return;
  }
  heap->bare[i / 64] |= UINT64_C(1) << i % 64;
  heap->nempty--;
}

/* Memory that was given back costs page faults when it is needed again, and a
 * heap that is garbage-collected grows and shrinks by a half all the time. */
static bool keeps_too_much(const struct uj_heap *heap)
{
  return heap->nempty > UJ_HEAP_KEPT && heap->nempty > heap->nbusy &&
         !heap->keeps_all;
}

/* The chunk may have lost its memory, with its header, when this returns. */
static void chunk_is_empty(struct uj_heap *heap, struct uj_chunk *chunk)
{
  chunk->free = ALL_FREE;
  heap->nbusy--;
  heap->nempty++;
  uj_link_remove(&chunk->link);
  uj_link_append(&heap->roomy, &chunk->link);
  while (keeps_too_much(heap))
    discard(heap, uj_container(heap->roomy.prev, struct uj_chunk, link));
}

/* ---- spans -------------------------------------------------------------- */

static struct uj_span *span_of(void *block)
{
  return &chunk_of(block)
              ->spans[(uintptr_t)block >> SPAN_BITS & (UJ_HEAP_SPANS - 1)];
}

/* Whether too much is free in the spans that there are to cut another. */
static bool wastes_too_much(const struct uj_heap *heap)
{
  return heap->cut - heap->used > heap->used / 2 + UJ_HEAP_SLACK;
}

/* The first chunk with a free span. Returns NULL without memory. */
static struct uj_chunk *roomy_chunk(struct uj_heap *heap)
{
  return uj_link_empty(&heap->roomy)
             ? add_chunk(heap)
             : uj_container(heap->roomy.next, struct uj_chunk, link);
}

static struct uj_span *take_span(struct uj_heap *heap, size_t kind)
{
  struct uj_chunk *chunk = wastes_too_much(heap) ? NULL : roomy_chunk(heap);
  struct uj_span *span;
  unsigned i;
  if (chunk == NULL)
    return NULL;
  if (chunk->free == ALL_FREE) {
    heap->nempty--;
    heap->nbusy++;
  }
  i = (unsigned)__builtin_ctzll(chunk->free);
  chunk->free &= chunk->free - 1;
  if (chunk->free == 0)
    uj_link_remove(&chunk->link);
  span = &chunk->spans[i];
  span->free = NULL;
  span->fresh = first_block(chunk, i);
  span->end = (char *)chunk + (i + 1) * SPAN_SIZE;
  span->size = (uint16_t)size_of_kind(kind);
  span->kind = (uint16_t)kind;
  span->used = 0;
  uj_link_init(&span->link);
  return span;
}

/* Frees a span, while other spans of its chunk have blocks. */
static void give_span(struct uj_heap *heap, struct uj_span *span)
{
  struct uj_chunk *chunk = chunk_of(span);
  uj_link_remove(&span->link);
  if (chunk->free == 0) /* to the front: chunks without blocks are last */
    uj_link_append(heap->roomy.next, &chunk->link);
  chunk->free |= UINT64_C(1) << (span - chunk->spans);
  heap->cut -= SPAN_SIZE;
}

static bool has_blocks(const struct uj_chunk *chunk)
{
  for (uint64_t taken = ~chunk->free; taken != 0; taken &= taken - 1)
    if (chunk->spans[__builtin_ctzll(taken)].used > 0)
      return true;
  return false;
}

static void give_all_spans(struct uj_heap *heap, struct uj_chunk *chunk)
{
  for (uint64_t taken = ~chunk->free; taken != 0; taken &= taken - 1) {
    struct uj_span *span = &chunk->spans[__builtin_ctzll(taken)];
    uj_link_remove(&span->link);
    if (heap->current[span->kind] == span)
      heap->current[span->kind] = &heap->none;
    else
      heap->cut -= SPAN_SIZE;
  }
  chunk_is_empty(heap, chunk);
}

/* A current span is kept, because it is soon used again, unless it is the last
 * that keeps its chunk from being empty. */
static void span_is_empty(struct uj_heap *heap, struct uj_span *span)
{
  struct uj_chunk *chunk = chunk_of(span);
  if (!has_blocks(chunk))
    give_all_spans(heap, chunk);
  else if (heap->current[span->kind] != span)
    give_span(heap, span);
}

/* ---- blocks ------------------------------------------------------------- */

static void *take_block(struct uj_span *span)
{
  void *block = span->free;
  if (block != NULL)
    memcpy(&span->free, block, sizeof(void *));
  else if (span->size <= (size_t)(span->end - span->fresh)) {
    block = span->fresh;
    span->fresh += span->size;
  } else
    return NULL;
  span->used++;
  return block;
}

/* Makes a span the current one of its size. The one before is full. */
static void set_current(struct uj_heap *heap, struct uj_span *span)
{
  const struct uj_span *before = heap->current[span->kind];
  if (before != &heap->none) {
    heap->cut += SPAN_SIZE;
    heap->used += (size_t)before->used * before->size;
  }
  heap->current[span->kind] = span;
}

/* The first span of the list, which is not in it any more. */
static struct uj_span *take_partial(struct uj_heap *heap,
                                    struct uj_link *partial)
{
  struct uj_span *span = uj_container(partial->next, struct uj_span, link);
  uj_link_remove(&span->link);
  heap->cut -= SPAN_SIZE;
  heap->used -= (size_t)span->used * span->size;
  return span;
}

/* Allocates when the current span is full. */
static void *allocate_slowly(struct uj_heap *heap, size_t kind)
{
  struct uj_link *partial = &heap->partial[kind];
  struct uj_span *span = uj_link_empty(partial) ? take_span(heap, kind)
                                                : take_partial(heap, partial);
  if (span == NULL)
    return NULL;
  set_current(heap, span);
  return take_block(span);
}

/* Returns NULL if the heap has no room, or if the block is too large for it. */
static void *allocate(struct uj_heap *heap, size_t size)
{
  size_t kind;
  void *block;
  if (size > UJ_HEAP_LARGEST)
    return NULL;
  kind = heap->kinds[steps_of(size)];
  block = take_block(heap->current[kind]);
  return block != NULL ? block : allocate_slowly(heap, kind);
}

/* A block of another span than the current one of its size was freed. */
static void released_elsewhere(struct uj_heap *heap, struct uj_span *span)
{
  heap->used -= span->size;
  if (span->used == 0)
    span_is_empty(heap, span);
  else if (uj_link_empty(&span->link)) /* it was full */
    uj_link_append(&heap->partial[span->kind], &span->link);
}

static void release(struct uj_heap *heap, void *block)
{
  struct uj_span *span = span_of(block);
  memcpy(block, &span->free, sizeof(void *));
  span->free = block;
  span->used--;
  if (span != heap->current[span->kind])
    released_elsewhere(heap, span);
  else if (span->used == 0)
    span_is_empty(heap, span);
}

static void *allocate_anywhere(struct uj_heap *heap, size_t size)
{
  void *block = allocate(heap, size);
  return block != NULL ? block : heap->below(heap->context, NULL, 0, size);
}

/* A block that fits stays where it is if there is no memory to move it to. Its
 * old size comes from its span, not from the caller, which may be wrong. */
static void *resize(struct uj_heap *heap, void *block, size_t new_size)
{
  const struct uj_span *span = span_of(block);
  size_t room = span->size;
  void *moved;
  if (new_size <= room && heap->kinds[steps_of(new_size)] == span->kind)
    return block;
  moved = allocate_anywhere(heap, new_size);
  if (moved == NULL)
    return new_size <= room ? block : NULL;
  memcpy(moved, block, new_size < room ? new_size : room);
  release(heap, block);
  return moved;
}

void *uj_heap_realloc(void *context, void *block, size_t old_size,
                      size_t new_size)
{
  struct uj_heap *heap = context;
  if (block == NULL)
    return new_size == 0 ? NULL : allocate_anywhere(heap, new_size);
  if (!is_ours(heap, block))
    return heap->below(heap->context, block, old_size, new_size);
  if (new_size > 0)
    return resize(heap, block, new_size);
  release(heap, block);
  return NULL;
}

/* ---- the whole ---------------------------------------------------------- */

bool uj_heap_init(struct uj_heap *heap, size_t size, uj_allocator below,
                  void *context)
{
  heap->size = size - size % CHUNK_SIZE;
  if (size / CHUNK_SIZE > UJ_HEAP_CHUNKS)
    return false;
  heap->base = uj_pages_reserve(heap->size, CHUNK_SIZE);
  heap->nchunks = 0;
  heap->nbusy = 0;
  heap->nempty = 0;
  heap->cut = 0;
  heap->used = 0;
  heap->keeps_all = false;
  init_kinds(heap);
  heap->below = below;
  heap->context = context;
  memset(&heap->none, 0, sizeof(heap->none));
  heap->none.size = UJ_HEAP_STEP;
  uj_link_init(&heap->roomy);
  memset(heap->bare, 0, sizeof(heap->bare));
  for (size_t i = 0; i < UJ_HEAP_SIZES; i++) {
    heap->current[i] = &heap->none;
    uj_link_init(&heap->partial[i]);
  }
  return heap->base != NULL;
}

void uj_heap_term(struct uj_heap *heap)
{
  uj_pages_release(heap->base, heap->size);
}

size_t uj_heap_committed(const struct uj_heap *heap)
{
  return (size_t)(heap->nbusy + heap->nempty) * CHUNK_SIZE;
}

/* What was counted anew, to be compared with what the heap has. */
struct sums {
  size_t cut, used;
};

/* The checks return the number of blocks in use. */
static uint64_t check_span(const struct uj_heap *heap, struct uj_chunk *chunk,
                           unsigned i, struct sums *sums)
{
  const struct uj_span *span = &chunk->spans[i];
  bool is_current = heap->current[span->kind] == span;
  bool is_listed = !uj_link_empty(&span->link);
  bool has_fresh = span->size <= (size_t)(span->end - span->fresh);
  uint64_t nfree = 0;
  void *block = span->free;
  for (; block != NULL; memcpy(&block, block, sizeof(void *)), nfree++)
    assert(span_of(block) == span && (char *)block < span->fresh);
  assert((size_t)(span->fresh - first_block(chunk, i)) ==
         (span->used + nfree) * span->size);
  assert(span->used > 0 || is_current);
  assert(!(is_current && is_listed));
  assert(is_current || is_listed == (nfree > 0 || has_fresh));
  (void)is_current;
  (void)is_listed;
  (void)has_fresh;
  if (!is_current) {
    sums->cut += SPAN_SIZE;
    sums->used += (size_t)span->used * span->size;
  }
  return span->used;
}

static void check_roomy(const struct uj_heap *heap)
{
  struct uj_link *link = heap->roomy.next;
  bool was_empty = false, is_empty;
  for (; link != &heap->roomy; link = link->next, was_empty = is_empty) {
    is_empty = uj_container(link, struct uj_chunk, link)->free == ALL_FREE;
    assert(is_empty || !was_empty);
  }
  (void)was_empty;
}

static uint64_t check_chunk(const struct uj_heap *heap, struct uj_chunk *chunk,
                            struct sums *sums)
{
  uint64_t used = 0;
  assert(uj_link_empty(&chunk->link) == (chunk->free == 0));
  assert(has_blocks(chunk) == (chunk->free != ALL_FREE));
  for (unsigned i = 0; i < UJ_HEAP_SPANS; i++)
    if (!(chunk->free >> i & 1))
      used += check_span(heap, chunk, i, sums);
  return used;
}

uint64_t uj_heap_check(const struct uj_heap *heap)
{
  uint64_t used = 0;
  uint32_t nempty = 0, nbare = 0;
  struct sums sums = {0, 0};
  for (uint32_t i = 0; i < heap->nchunks; i++) {
    struct uj_chunk *chunk = chunk_at(heap, i);
    nbare += is_bare(heap, i);
    if (is_bare(heap, i))
      continue;
    nempty += chunk->free == ALL_FREE;
    used += check_chunk(heap, chunk, &sums);
  }
  assert(sums.cut == heap->cut);
  assert(sums.used == heap->used);
  assert(nempty == heap->nempty);
  assert(nbare + nempty + heap->nbusy == heap->nchunks);
  assert(!keeps_too_much(heap));
  check_roomy(heap);
  return used;
}
