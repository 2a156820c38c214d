/* core/shuffle.h, and turns of the loop in a random order. */
#include "check.h"

#include "fake_host.h"

#include "core/shuffle.h"

enum { LINKS = 4, ORDERS = 24, ROUNDS = 24000 };

static struct fake f;

/* Returns the order as a number below ORDERS. */
static unsigned order_of(const struct uj_link *list,
                         const struct uj_link *links)
{
  unsigned order = 0, seen[LINKS], count = 0;
  const struct uj_link *link = list->next;
  for (; link != list; link = link->next) {
    unsigned at = (unsigned)(link - links), lower = at;
    for (unsigned i = 0; i < count; i++)
      lower -= seen[i] < at;
    order = order * (LINKS - count) + lower;
    seen[count++] = at;
  }
  CHECK_EQ(count, LINKS);
  return order;
}

/* 24000 seeds in 24 orders: 1000 each, with a standard deviation of 31. */
static void each_order_is_as_likely(void)
{
  unsigned counts[ORDERS] = {0};
  for (uint64_t round = 0; round < ROUNDS; round++) {
    struct uj_link list, links[LINKS];
    uint64_t seed = round;
    uj_link_init(&list);
    for (unsigned i = 0; i < LINKS; i++) {
      uj_link_init(&links[i]);
      uj_link_append(&list, &links[i]);
    }
    uj_shuffle(&list, &seed);
    CHECK(seed != round);
    counts[order_of(&list, links)]++;
  }
  for (unsigned i = 0; i < ORDERS; i++) {
    CHECK(counts[i] > 800);
    CHECK(counts[i] < 1200);
  }
}

static void short_lists_stay(void)
{
  struct uj_link list, link;
  uint64_t seed = 1;
  uj_link_init(&list);
  uj_link_init(&link);
  uj_shuffle(&list, &seed);
  CHECK(uj_link_empty(&list));
  uj_link_append(&list, &link);
  uj_shuffle(&list, &seed);
  CHECK(list.next == &link && list.prev == &link);
  CHECK(link.next == &list && link.prev == &list);
}

static void run_with_seed(uint64_t seed)
{
  fake_init(&f);
  f.loop.shuffles = true;
  f.loop.seed = seed;
  SPAWNED(&f, "a", YIELD);
  SPAWNED(&f, "b", YIELD);
  SPAWNED(&f, "c", YIELD);
  fake_turn(&f);
}

static void a_seed_determines_the_order(void)
{
  char first[sizeof(f.log)];
  bool differs = false;
  run_with_seed(7);
  strcpy(first, f.log);
  fake_settle(&f);
  fake_term(&f);
  run_with_seed(7);
  CHECK_STR(f.log, first);
  fake_settle(&f);
  fake_term(&f);
  for (uint64_t seed = 8; seed < 40; seed++) {
    run_with_seed(seed);
    CHECK_EQ(strlen(f.log), strlen("a b c"));
    differs |= strcmp(f.log, first) != 0;
    fake_settle(&f);
    fake_term(&f);
  }
  CHECK(differs);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"each order is as likely as any other", each_order_is_as_likely},
      {"short lists stay as they are", short_lists_stay},
      {"a turn runs all that is ready, in the order of the seed",
       a_seed_determines_the_order},
  };
  return check_run(tests, sizeof(tests) / sizeof(*tests));
}
