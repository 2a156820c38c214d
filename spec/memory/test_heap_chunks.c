/* memory/heap.h and memory/pages.h: where the memory comes from, and that it is
 * given back. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for syscall() */
#endif
#include "blocks.h"

#include <sys/mman.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/syscall.h>

#include "memory/pages.h"

static bool is_zero(const char *at, size_t size)
{
  return *at == 0 && memcmp(at, at + 1, size - 1) == 0;
}

/* The heap has had many blocks and now has none: it keeps little memory. None
 * may be in a chunk that was given back, or it gets no large page again. */
static void check_gave_back(void)
{
  uint32_t nzero = 0;
  CHECK_EQ(live, 0);
  CHECK(uj_heap_committed(&heap) <= UJ_HEAP_KEPT * CHUNK);
  for (uint32_t i = 0; i < heap.nchunks; i++)
    nzero += is_zero(heap.base + i * CHUNK, CHUNK);
#ifdef __linux__ /* other systems may release it later */
  CHECK(nzero >= heap.nchunks - UJ_HEAP_KEPT);
#endif
  (void)nzero;
}

static void a_burst(size_t size, size_t step)
{
  size_t count = 20 * CHUNK / size; /* a size of blocks */
  void **blocks;
  init(64 * MIB);
  for (int round = 0; round < 2; round++) {
    blocks = take_many(count, size);
    CHECK(uj_heap_committed(&heap) >= 20 * CHUNK);
    CHECK(uj_heap_committed(&heap) <= 21 * CHUNK);
    give_many(blocks, count, size, step);
    check_gave_back();
  }
  CHECK_EQ(below.ncalls, 0);
  term();
}

/* The larger ones only at first: sizes have their last blocks in many chunks.
 */
static size_t mixed_size(size_t i)
{
  return 1 + i * 797 % (BIG - i / 20);
}

static void a_burst_of_all_sizes(void)
{
  enum { COUNT = 40000 };
  static void *blocks[COUNT];
  init(64 * MIB);
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < COUNT; i++)
      blocks[i] = take(mixed_size(i));
    CHECK(uj_heap_committed(&heap) >= 10 * CHUNK);
    check();
    for (size_t i = COUNT; i-- > 0;)
      give(blocks[i], mixed_size(i));
    check();
    check_gave_back();
  }
  term();
}

static void the_memory_of_a_burst(void)
{
  a_burst(512, 1);
  a_burst(512, 63);
  a_burst(BIG, 2);
  a_burst(1280, 17);
}

/* The test has a process of its own, which has no large pages from now on. */
static void small_pages(void)
{
#ifdef PR_SET_THP_DISABLE
  CHECK_EQ(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
#endif
  a_burst(512, 63);
  a_burst_of_all_sizes();
}

/* As many empty chunks are kept as there are chunks with blocks. */
static void some_memory_is_kept(void)
{
  size_t count = 40 * BIGS_IN_CHUNK, kept;
  void **blocks;
  init(128 * MIB);
  blocks = take_many(count, BIG);
  for (size_t i = BIGS_IN_CHUNK / 2; i < 26 * BIGS_IN_CHUNK; i++) {
    give(blocks[i], BIG);
    blocks[i] = NULL;
  }
  check();
  kept = uj_heap_committed(&heap);
  CHECK_EQ(kept, 2 * 15 * CHUNK);
  for (size_t i = BIGS_IN_CHUNK / 2; i < 16 * BIGS_IN_CHUNK; i++)
    blocks[i] = take(BIG);
  CHECK_EQ(uj_heap_committed(&heap), kept);
  blocks[16 * BIGS_IN_CHUNK] = take(BIG); /* in a chunk that was given back */
  CHECK_EQ(uj_heap_committed(&heap), kept + CHUNK);
  give_many(blocks, count, BIG, 1);
  check_gave_back();
  term();
}

/* So the empty chunk can be given back. */
static void a_chunk_with_blocks_is_used_first(void)
{
  size_t count = 4 * BIGS_IN_CHUNK;
  void **blocks, *block;
  init(4 * CHUNK);
  blocks = take_many(count, BIG);
  for (size_t i = 2 * BIGS_IN_CHUNK + 40; i-- > BIGS_IN_CHUNK;) {
    give(blocks[i], BIG);
    blocks[i] = NULL;
  }
  check();
  CHECK_EQ(heap.nempty, 1);
  block = take(16);
  CHECK((char *)block > heap.base + 2 * CHUNK);
  CHECK_EQ(heap.nempty, 1);
  give(block, 16);
  give_many(blocks, count, BIG, 1);
  term();
}

/* Returns the memory of this process; 0 where the system does not say. */
static size_t address_space(void)
{
  size_t pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL)
    return 0;
  CHECK_EQ(fscanf(file, "%zu", &pages), 1);
  fclose(file);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void odd_ranges(void)
{
  static const size_t sizes[] = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * MIB};
  size_t before = address_space();
  for (size_t i = 0; i < 600; i++) {
    size_t size = sizes[i % 6];
    void *block;
    init(size);
    block = take(16);
    CHECK_EQ(is_inside(&heap, block), size >= CHUNK);
    CHECK(uj_heap_committed(&heap) <= size);
    give(block, 16);
    term();
  }
  CHECK(address_space() < before + 16 * MIB);
}

static void impossible_ranges(void)
{
  static const size_t sizes[] = {(size_t)1 << 60,      SIZE_MAX,
                                 SIZE_MAX - CHUNK,     SIZE_MAX - CHUNK + 1,
                                 SIZE_MAX - CHUNK + 2, SIZE_MAX / 2 + 1};
  CHECK(!uj_heap_init(&heap, CHUNK * (UJ_HEAP_CHUNKS + 1), below_realloc,
                      &below));
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    CHECK(!uj_heap_init(&heap, sizes[i], below_realloc, &below));
    CHECK(uj_pages_reserve(sizes[i], CHUNK) == NULL);
  }
}

static void pages(void)
{
  for (size_t align = 64 * KIB; align <= 64 * MIB; align *= 2) {
    char *begin = uj_pages_reserve(2 * align, align);
    CHECK(begin != NULL);
    CHECK_EQ((uintptr_t)begin % align, 0);
    CHECK(uj_pages_commit(begin + align, align, align % CHUNK == 0));
    CHECK_EQ(begin[align], 0);
    CHECK_EQ(begin[2 * align - 1], 0);
    begin[align] = begin[2 * align - 1] = 'x';
    uj_pages_discard(begin + align, align);
    begin[align] = begin[2 * align - 1] = 'y';
    uj_pages_release(begin, 2 * align);
    CHECK(madvise(begin, align, MADV_NORMAL) != 0); /* not mapped any more */
  }
}

/* AddressSanitizer makes mlock() do nothing. There is a limit to it, too. */
static bool lock(void *begin, size_t size)
{
#ifdef SYS_mlock
  return syscall(SYS_mlock, begin, size) == 0;
#else
  (void)begin;
  (void)size;
  return false;
#endif
}

/* What is locked the system does not take back: it is kept, and not asked for
 * again and again. */
static void locked_memory_is_kept(void)
{
  size_t count = 20 * BIGS_IN_CHUNK, committed;
  void **blocks;
  init(64 * MIB);
  blocks = take_many(count, BIG);
  committed = uj_heap_committed(&heap);
  if (lock(heap.base, committed)) {
    give_many(blocks, count, BIG, 1);
    check();
    CHECK_EQ(uj_heap_committed(&heap), committed);
    blocks = take_many(count, BIG);
    CHECK_EQ(uj_heap_committed(&heap), committed);
  }
  give_many(blocks, count, BIG, 1);
  check();
  term();
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a range that cannot be had is refused", impossible_ranges},
      {"the memory of a burst is given back and used again",
       the_memory_of_a_burst},
      {"the memory of a burst of all sizes is given back and used again",
       a_burst_of_all_sizes},
      {"a system without large pages gives the same memory", small_pages},
      {"a part of the memory is kept while there are blocks",
       some_memory_is_kept},
      {"a chunk with blocks is used before one without",
       a_chunk_with_blocks_is_used_first},
      {"memory that the system does not take back is kept",
       locked_memory_is_kept},
      {"ranges of any size leave no addresses behind", odd_ranges},
      {"pages are aligned, zero, and can be used after they were given back",
       pages},
  };
  return CHECK_RUN(tests);
}
