/* random/random.h */
#include "check.h"

#include "random/random.h"

static struct uj_random chance;

static void random_numbers_are_those_of_the_authors(void)
{
  /* xoshiro256** from the state 1, 2, 3, 4. */
  const uint64_t expected[] = {11520, 0, 1509978240,
                               UINT64_C(1215971899390074240)};
  chance = (struct uj_random){{1, 2, 3, 4}};
  for (int i = 0; i < 4; i++)
    CHECK_EQ(uj_random_next(&chance), expected[i]);
}

static void fractions_are_below_one(void)
{
  double sum = 0;
  uj_random_init(&chance, 7);
  for (int i = 0; i < 100000; i++) {
    double fraction = uj_random_fraction(&chance);
    CHECK(fraction >= 0 && fraction < 1);
    sum += fraction;
  }
  CHECK(sum > 49000 && sum < 51000);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"the random numbers are those of xoshiro256**",
       random_numbers_are_those_of_the_authors},
      {"a fraction is from 0 on, and below 1", fractions_are_below_one},
  };
  return CHECK_RUN(tests);
}
