/* The whole core in random operations, compared after each with a model.
 * spec/fuzz/fuzz_core.c plays the same for longer.
 * Usage: test_random [seeds [first seed]] */
#include "check.h"

#include "play.h"

#define OPS 250

static struct check_range range;

static void round_of(uint64_t seed)
{
  play.generated = true;
  play.rng = seed;
  play_round(OPS);
}

static void agrees_with_the_model(void)
{
  check_rounds(range, round_of);
}

int main(int argc, char **argv)
{
  static const struct check_test tests[] = {
      {"does what the model does, in any order of events #M1 #M2 #M3 #M4 #M9",
       agrees_with_the_model},
  };
  range = check_arguments(argc, argv, 300);
  return CHECK_RUN(tests);
}
