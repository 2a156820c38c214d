/* memory/heap.h in random operations: what blocks hold, and how many there are.
 * Usage: test_heap_random [seeds [first seed]] */
#include "blocks.h"

#define BLOCKS 16000
#define OPS 6000
#define PHASE 400
#define FAVOURITES 4

struct block {
  void *at; /* NULL if there is no block */
  size_t size;
};

/* Phases follow one another, each with its mixture of sizes and operations. */
struct state {
  struct block blocks[BLOCKS];
  size_t favourites[FAVOURITES];
  uint64_t nabove; /* blocks that did not come from below */
  uint64_t nbelow;
  uint64_t nbytes_below;
  uint64_t rng;
  unsigned sizes; /* see random_size() */
  unsigned grows; /* of 16 operations, so many allocate */
  unsigned fails; /* of 16 requests below, so many */
};

static struct check_range range;

static size_t random_size(struct state *s)
{
  switch (s->sizes) {
  case 0: /* any size that the heap has */
    return 1 + check_below(&s->rng, UJ_HEAP_LARGEST);
  case 1: /* sizes of all scales */
    return 1 + (size_t)(check_scaled(&s->rng) >> 48);
  case 2: /* sizes about the largest of the heap */
    return UJ_HEAP_LARGEST - 20 + check_below(&s->rng, 40);
  default: /* a few sizes only */
    return s->favourites[check_below(&s->rng, FAVOURITES)];
  }
}

static void new_phase(struct state *s)
{
  s->sizes = (unsigned)check_below(&s->rng, 6);
  s->grows = (unsigned)(check_below(&s->rng, 2) ? check_below(&s->rng, 6)
                                                : 10 + check_below(&s->rng, 7));
  s->fails = (unsigned)(check_below(&s->rng, 2) ? check_below(&s->rng, 17) : 0);
  for (unsigned i = 0; i < FAVOURITES; i++)
    s->favourites[i] = 1 + check_below(&s->rng, UJ_HEAP_LARGEST);
}

static void count(struct state *s, struct block block, bool is_more)
{
  uint64_t one = is_more ? 1 : UINT64_MAX;
  if (is_inside(&heap, block.at)) {
    s->nabove += one;
    return;
  }
  s->nbelow += one;
  s->nbytes_below += one * block.size;
}

static void check_block(struct block block)
{
  CHECK_EQ((uintptr_t)block.at % UJ_HEAP_STEP, 0);
  CHECK(holds(block.at, block.size, stamp_of(block.at, block.size)));
}

static void op_take(struct state *s, struct block *block)
{
  block->size = random_size(s);
  block->at =
      uj_heap_realloc(&heap, NULL, check_below(&s->rng, 9), block->size);
  CHECK(block->at != NULL || below.fails);
  if (block->at == NULL)
    return;
  fill(block->at, block->size);
  check_block(*block);
  count(s, *block, true);
}

static void op_give(struct state *s, struct block *block)
{
  check_block(*block);
  count(s, *block, false);
  CHECK(uj_heap_realloc(&heap, block->at, block->size, 0) == NULL);
  block->at = NULL;
}

static void op_resize(struct state *s, struct block *block)
{
  struct block old = *block, new = {NULL, random_size(s)};
  uint64_t stamp = stamp_of(old.at, old.size);
  check_block(old);
  new.at = uj_heap_realloc(&heap, old.at, old.size, new.size);
  if (new.at == NULL) {
    CHECK(below.fails && new.size > old.size);
    check_block(old);
    return;
  }
  CHECK(holds(new.at, old.size < new.size ? old.size : new.size, stamp));
  count(s, old, false);
  fill(new.at, new.size);
  check_block(new);
  count(s, new, true);
  *block = new;
}

static void op(struct state *s, struct block *block)
{
  below.fails = check_below(&s->rng, 16) < s->fails;
  if (block->at == NULL) {
    if (check_below(&s->rng, 16) < s->grows)
      op_take(s, block);
  } else if (check_below(&s->rng, 4) == 0)
    op_resize(s, block);
  else if (check_below(&s->rng, 16) >= s->grows)
    op_give(s, block);
}

/* One after the other, as they often are in memory: frees them all, or does one
 * operation with each. */
static void op_many(struct state *s)
{
  bool all = check_below(&s->rng, 2);
  size_t first = all ? 0 : check_below(&s->rng, BLOCKS);
  size_t end = all ? BLOCKS : first + check_below(&s->rng, BLOCKS - first);
  bool frees = check_below(&s->rng, 16) >= s->grows;
  for (size_t i = first; i < end; i++) {
    if (!frees)
      op(s, &s->blocks[i]);
    else if (s->blocks[i].at != NULL)
      op_give(s, &s->blocks[i]);
  }
}

static void compare(const struct state *s)
{
  CHECK_EQ(uj_heap_check(&heap), s->nabove);
  CHECK_EQ(below.nblocks, s->nbelow);
  CHECK_EQ(below.nbytes, s->nbytes_below);
  CHECK(uj_heap_committed(&heap) <= heap.size);
}

/* A range that is too small for all of them, or not. */
static void init_round(struct state *s, uint64_t seed)
{
  static const size_t sizes[] = {CHUNK, 2 * CHUNK, 8 * CHUNK, 64 * CHUNK};
  memset(s, 0, sizeof *s);
  s->rng = seed;
  init(sizes[check_below(&s->rng, 4)]);
}

static void round_of(uint64_t seed)
{
  static struct state s;
  init_round(&s, seed);
  for (unsigned i = 0; i < OPS && check_failures == 0; i++) {
    if (i % PHASE == 0) {
      new_phase(&s);
      op_many(&s);
    }
    op(&s, &s.blocks[check_below(&s.rng, BLOCKS)]);
    if (i % (PHASE / 4) == 0)
      compare(&s);
  }
  for (unsigned i = 0; i < BLOCKS; i++)
    if (s.blocks[i].at != NULL)
      op_give(&s, &s.blocks[i]);
  compare(&s);
  term();
}

static void agrees_with_the_model(void)
{
  check_rounds(range, round_of);
}

int main(int argc, char **argv)
{
  static const struct check_test tests[] = {
      {"blocks keep what they hold, in any order of requests",
       agrees_with_the_model},
  };
  range = check_arguments(argc, argv, 50);
  return CHECK_RUN(tests);
}
