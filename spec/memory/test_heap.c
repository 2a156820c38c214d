/* memory/heap.h: where blocks come from, and that they keep what is written. */
#include "blocks.h"

#include <sys/mman.h>

/* ---- blocks ------------------------------------------------------------- */

static void blocks_of_every_size(void)
{
  static void *blocks[UJ_HEAP_LARGEST + 1];
  init(16 * MIB);
  for (size_t size = 1; size <= UJ_HEAP_LARGEST; size++) {
    blocks[size] = take(size);
    CHECK(is_inside(&heap, blocks[size]));
    check();
  }
  for (size_t size = 1; size <= UJ_HEAP_LARGEST; size++) {
    give(blocks[size], size);
    check();
  }
  CHECK_EQ(below.ncalls, 0);
  term();
}

/* All of its spans and of their bytes are used, but for the header and what is
 * too little for a block. */
static void use_up_a_chunk(size_t size)
{
  size_t block = uj_heap_block_size(size);
  size_t most = (SPAN - HEADER) / block + (UJ_HEAP_SPANS - 1) * (SPAN / block);
  void **blocks, *other;
  init(CHUNK);
  blocks = take_many(most, size);
  for (size_t i = 0; i < most; i++) {
    CHECK((char *)blocks[i] >= heap.base + HEADER);
    CHECK((char *)blocks[i] + size <= heap.base + CHUNK);
  }
  CHECK_EQ(live, most);
  CHECK_EQ(below.ncalls, 0);
  other = take(size);
  CHECK_EQ(below.nblocks, 1);
  give_many(blocks, most, size, 3);
  give(other, size);
  term();
}

static void a_chunk_is_used_up(void)
{
  for (size_t size = UJ_HEAP_STEP; size <= 512; size += 5 * UJ_HEAP_STEP)
    use_up_a_chunk(size);
  for (size_t size = 512; size <= UJ_HEAP_LARGEST; size += UJ_HEAP_STEP)
    use_up_a_chunk(size);
}

/* A request fits, and little is lost by that; what Lua asks for most is met. */
static void sizes_of_blocks(void)
{
  static const size_t exact[] = {720, 768, 1024, 1536, 2048};
  CHECK_EQ(uj_heap_block_size(0), 0);
  for (size_t size = 1; size <= UJ_HEAP_LARGEST; size++) {
    size_t block = uj_heap_block_size(size);
    CHECK(block >= size);
    CHECK_EQ(block % UJ_HEAP_STEP, 0);
    CHECK(block - size < (size <= 512 ? UJ_HEAP_STEP : block / 5));
  }
  for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
    CHECK_EQ(uj_heap_block_size(exact[i]), exact[i]);
}

static void no_block_of_no_size(void)
{
  init(CHUNK);
  for (size_t tag = 0; tag < 10; tag++) /* Lua's old size of a new block */
    CHECK(uj_heap_realloc(&heap, NULL, tag, 0) == NULL);
  CHECK_EQ(uj_heap_committed(&heap), 0);
  CHECK_EQ(below.ncalls, 0);
  term();
}

static void a_freed_block_is_used_again(void)
{
  void *block, *other;
  init(CHUNK);
  block = take(100);
  other = take(100);
  give(block, 100);
  check();
  CHECK(take(112) == block);
  check();
  give(other, 100);
  CHECK(take(97) == other);
  give(block, 112);
  give(other, 97);
  term();
}

/* In spans that were full, too, when the current one is. */
static void a_full_span_is_used_again(void)
{
  size_t count = BIGS_IN_FIRST_SPAN + 2 * BIGS_IN_SPAN;
  void **blocks, *first, *last;
  init(CHUNK);
  blocks = take_many(count, BIG);
  first = blocks[0];
  last = blocks[BIGS_IN_FIRST_SPAN];
  give(first, BIG);
  give(last, BIG);
  check();
  CHECK(take(BIG) == first);
  CHECK(take(BIG) == last);
  check();
  give_many(blocks, count, BIG, 1);
  term();
}

static void large_blocks_come_from_below(void)
{
  size_t size = BIG + 1;
  void *block;
  init(CHUNK);
  block = take(size);
  CHECK_EQ(below.nbytes, size);
  for (; size < 2 * MIB; size = 2 * size + 1) {
    block = resize(block, size, 2 * size + 1);
    CHECK_EQ(below.nbytes, 2 * size + 1);
  }
  give(block, size);
  CHECK_EQ(uj_heap_committed(&heap), 0);
  term();
}

static void what_came_from_below_stays_there(void)
{
  void *block, *other;
  init(CHUNK);
  block = below_realloc(&below, NULL, 0, 24);
  fill(block, 24);
  other = take(BIG + 1);
  block = resize(block, 24, 100);
  block = resize(block, 100, 7);
  other = resize(other, BIG + 1, 7);
  CHECK_EQ(below.nblocks, 2);
  CHECK_EQ(below.nbytes, 14);
  give(block, 7);
  give(other, 7);
  CHECK_EQ(uj_heap_committed(&heap), 0);
  term();
}

/* ---- other sizes -------------------------------------------------------- */

static void resize_once(size_t old_size, size_t new_size)
{
  void *block = take(old_size), *moved;
  moved = resize(block, old_size, new_size);
  check();
  if (old_size <= BIG) {
    CHECK_EQ(moved == block,
             new_size <= BIG &&
                 uj_heap_block_size(old_size) == uj_heap_block_size(new_size));
    CHECK_EQ(is_inside(&heap, moved), new_size <= BIG);
  }
  give(moved, new_size);
  check();
}

static void contents_survive_other_sizes(void)
{
  static const size_t sizes[] = {1,        15,   16,   17,   31,      32,
                                 33,       100,  1000, 2032, 2033,    2047,
                                 2048,     2049, 4096, 5000, 100000,  65536,
                                 BIG * 16, MIB,  8,    24,   MIB + 1, 48};
  enum { COUNT = sizeof sizes / sizeof *sizes };
  init(CHUNK);
  for (size_t i = 0; i < COUNT; i++)
    for (size_t j = 0; j < COUNT; j++)
      resize_once(sizes[i], sizes[j]);
  term();
}

/* ---- what is free but of another size ----------------------------------- */

static size_t wasted(void)
{
  return heap.cut - heap.used;
}

/* Fills four chunks with blocks of 256 bytes and keeps the first of each span.
 */
static void **take_and_keep_few(size_t count)
{
  void **blocks = take_many(count, 256);
  for (size_t i = 0; i < count; i++)
    if ((char *)blocks[i] != heap.base + HEADER &&
        (uintptr_t)blocks[i] % SPAN != 0) {
      give(blocks[i], 256);
      blocks[i] = NULL;
    }
  check();
  return blocks;
}

static void no_span_while_much_is_free(void)
{
  size_t count = 4 * CHUNK / 256 - 8;
  void **blocks, *other, *same;
  init(64 * MIB);
  blocks = take_and_keep_few(count);
  CHECK(wasted() > heap.used / 2 + UJ_HEAP_SLACK);
  other = take(400);
  CHECK(!is_inside(&heap, other));
  same = take(250); /* of a size that has free blocks */
  CHECK(is_inside(&heap, same));
  other = resize(other, 400, 256); /* it stays where it was */
  CHECK(!is_inside(&heap, other));
  check();
  give_many(blocks, count, 256, 1);
  give(same, 250);
  give(other, 256);
  same = take(400); /* the spans are free again */
  CHECK(is_inside(&heap, same));
  give(same, 400);
  term();
}

/* Phase after phase with blocks of one size, of which a few are kept: what is
 * free but cannot be used has a bound. */
static void many_sizes_one_after_the_other(void)
{
  enum { EACH = 4000, SIZES = 120 };
  static void *kept[SIZES][EACH];
  init(256 * MIB);
  for (size_t i = 0; i < SIZES; i++) {
    size_t size = 60 + i * 16;
    for (size_t k = 0; k < EACH; k++)
      kept[i][k] = take(size);
    for (size_t k = 0; k < EACH; k++)
      if (k % 50 != 0)
        give(kept[i][k], size);
    check();
  }
  CHECK(uj_heap_committed(&heap) <= 16 * MIB);
  for (size_t i = 0; i < SIZES; i++)
    for (size_t k = 0; k < EACH; k += 50)
      give(kept[i][k], 60 + i * 16);
  term();
}

static void impossible_sizes(void)
{
  static const size_t sizes[] = {SIZE_MAX,      SIZE_MAX - 14, SIZE_MAX - 15,
                                 SIZE_MAX - 16, SIZE_MAX / 2,  SIZE_MAX - CHUNK,
                                 SIZE_MAX - BIG};
  void *small, *large;
  init(CHUNK);
  small = take(20);
  large = take(5000);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    CHECK(uj_heap_realloc(&heap, NULL, 0, sizes[i]) == NULL);
    CHECK(uj_heap_realloc(&heap, small, 20, sizes[i]) == NULL);
    CHECK(uj_heap_realloc(&heap, large, 5000, sizes[i]) == NULL);
    check();
  }
  give(small, 20);
  give(large, 5000);
  term();
}

/* ---- when there is no more ---------------------------------------------- */

static void an_exhausted_range(void)
{
  void **blocks, *other;
  init(CHUNK);
  blocks = take_many(BIGS_IN_CHUNK + 1, BIG);
  CHECK_EQ(below.nblocks, 1);
  other = resize(blocks[5], BIG, 16); /* smaller, but there is no span for it */
  CHECK_EQ(below.nblocks, 2);
  check();
  blocks[5] = take(BIG);
  CHECK(is_inside(&heap, blocks[5]));
  give(other, 16);
  check();
  give_many(blocks, BIGS_IN_CHUNK + 1, BIG, 2);
  other = take(16);
  CHECK(is_inside(&heap, other));
  give(other, 16);
  term();
}

/* The heap ends at its size, although it could use addresses behind that. */
static void the_end_of_the_range(void)
{
  void **blocks;
  init(4 * CHUNK);
  heap.size = 2 * CHUNK;
  blocks = take_many(2 * BIGS_IN_CHUNK + 1, BIG);
  CHECK_EQ(below.nblocks, 1);
  CHECK_EQ(uj_heap_committed(&heap), 2 * CHUNK);
  give_many(blocks, 2 * BIGS_IN_CHUNK + 1, BIG, 1);
  heap.size = 4 * CHUNK;
  term();
}

/* It shrank when nothing else could be had: it has more room than it needs. */
static void use_a_block_that_stayed(void *block)
{
  below.fails = true;
  CHECK(resize(block, BIG, 100) == block);
  CHECK(resize(block, 100, 1) == block);
  CHECK(uj_heap_realloc(&heap, block, 1, BIG + 1) == NULL);
  CHECK(resize(block, 1, BIG - 1) == block);
  CHECK(resize(block, BIG - 1, 30) == block);
  check();
  below.fails = false;
  block = resize(block, 30, 31);
  CHECK(!is_inside(&heap, block));
  check();
  give(block, 31);
}

static void nothing_below_either(void)
{
  void **blocks, *large;
  init(CHUNK);
  blocks = take_many(BIGS_IN_CHUNK, BIG);
  large = take(5000);
  below.fails = true;
  CHECK(uj_heap_realloc(&heap, NULL, 0, 1) == NULL);
  CHECK(uj_heap_realloc(&heap, NULL, 0, BIG) == NULL);
  CHECK(uj_heap_realloc(&heap, blocks[7], BIG, BIG + 1) == NULL);
  CHECK(uj_heap_realloc(&heap, large, 5000, 5001) == NULL);
  CHECK(holds(blocks[7], BIG, stamp_of(blocks[7], BIG)));
  large = resize(large, 5000, 10);
  check();
  use_a_block_that_stayed(blocks[7]);
  blocks[7] = NULL;
  give(large, 10);
  give_many(blocks, BIGS_IN_CHUNK, BIG, 5);
  term();
}

/* The second chunk cannot be had: there is a hole in its addresses. */
static void the_system_has_no_memory(void)
{
  void **blocks, *other;
  init(4 * CHUNK);
  blocks = take_many(BIGS_IN_CHUNK, BIG);
  CHECK_EQ(munmap(heap.base + CHUNK + SPAN, SPAN), 0);
  other = take(BIG);
  CHECK_EQ(below.nblocks, 1);
  CHECK_EQ(uj_heap_committed(&heap), CHUNK);
  below.fails = true;
  CHECK(uj_heap_realloc(&heap, NULL, 0, 1) == NULL);
  check();
  give(other, BIG);
  give_many(blocks, BIGS_IN_CHUNK, BIG, 1);
  term();
}

static void two_heaps(void)
{
  static struct uj_heap inner; /* gets from the heap what it has not */
  void *ours, *its, *large;
  init(CHUNK);
  CHECK(uj_heap_init(&inner, CHUNK, uj_heap_realloc, &heap));
  ours = take(100);
  its = uj_heap_realloc(&inner, NULL, 0, 100);
  large = uj_heap_realloc(&inner, NULL, 0, 5000);
  CHECK(is_inside(&inner, its) && !is_inside(&heap, its));
  CHECK_EQ(below.nbytes, 5000);
  CHECK(uj_heap_realloc(&inner, ours, 100, 101) == ours);
  check();
  CHECK_EQ(uj_heap_check(&inner), 1);
  CHECK(uj_heap_realloc(&inner, ours, 101, 0) == NULL);
  live--;
  check();
  CHECK(uj_heap_realloc(&inner, large, 5000, 0) == NULL);
  CHECK_EQ(uj_heap_check(&inner), 1);
  CHECK(uj_heap_realloc(&inner, its, 100, 0) == NULL);
  CHECK_EQ(uj_heap_check(&inner), 0);
  uj_heap_term(&inner);
  term();
}

/* As with realloc(), which does not get the old size. */
static void a_wrong_old_size(void)
{
  static const size_t wrong[] = {0, 1, 5000, SIZE_MAX};
  init(4 * MIB);
  for (size_t i = 0; i < 4; i++) {
    char *block = uj_heap_realloc(&heap, NULL, 0, 100);
    memset(block, 'x', 100);
    block = uj_heap_realloc(&heap, block, wrong[i], 200);
    for (size_t at = 0; at < 100; at++)
      CHECK(block[at] == 'x');
    CHECK(uj_heap_realloc(&heap, block, wrong[i] + 1, 0) == NULL);
  }
  CHECK_EQ(uj_heap_check(&heap), 0);
  term();
}

int main(void)
{
  static const struct check_test tests[] = {
      {"blocks of every size are aligned and keep what is written",
       blocks_of_every_size},
      {"a chunk is used to its last block", a_chunk_is_used_up},
      {"a request gets a block that is little larger", sizes_of_blocks},
      {"there is no block of size 0", no_block_of_no_size},
      {"a freed block is used again", a_freed_block_is_used_again},
      {"a full span with a freed block is used again",
       a_full_span_is_used_again},
      {"large blocks come from below", large_blocks_come_from_below},
      {"what came from below stays there", what_came_from_below_stays_there},
      {"contents survive other sizes", contents_survive_other_sizes},
      {"nothing is lost by a caller that is wrong about the old size",
       a_wrong_old_size},
      {"no span is cut while much is free in others",
       no_span_while_much_is_free},
      {"a program that goes through many sizes wastes little",
       many_sizes_one_after_the_other},
      {"sizes that cannot be had change nothing", impossible_sizes},
      {"what an exhausted range has no room for comes from below",
       an_exhausted_range},
      {"nothing comes from beyond the range", the_end_of_the_range},
      {"without memory growing fails and shrinking does not",
       nothing_below_either},
      {"what the system has no memory for comes from below",
       the_system_has_no_memory},
      {"two heaps do not know each other's blocks", two_heaps},
  };
  return CHECK_RUN(tests);
}
