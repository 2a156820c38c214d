#include "core/shuffle.h"

#include <stdbool.h>

#define BITS 64

struct coins {
  uint64_t *seed;
  uint64_t bits;
  unsigned left; /* how many of `bits` are not used yet */
};

static uint64_t next(uint64_t *seed)
{
  uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

static bool toss(struct coins *coins)
{
  bool heads;
  if (coins->left == 0) {
    coins->bits = next(coins->seed);
    coins->left = BITS;
  }
  heads = coins->bits & 1;
  coins->bits >>= 1;
  coins->left--;
  return heads;
}

/* Gives each link a random key and sorts by it: splits the list by the first
 * bit of the keys, then each half by the next, until all links are apart. Keys
 * are only made as long as that takes. */
static void shuffle(struct uj_link *list, struct coins *coins)
{
  struct uj_link sides[2];
  if (list->next == list->prev)
    return;
  uj_link_init(&sides[0]);
  uj_link_init(&sides[1]);
  while (!uj_link_empty(list)) {
    struct uj_link *link = list->next;
    uj_link_remove(link);
    uj_link_append(&sides[toss(coins)], link);
  }
  shuffle(&sides[0], coins);
  shuffle(&sides[1], coins);
  uj_link_splice(list, &sides[0]);
  uj_link_splice(list, &sides[1]);
}

void uj_shuffle(struct uj_link *list, uint64_t *seed)
{
  struct coins coins = {.seed = seed};
  shuffle(list, &coins);
}
