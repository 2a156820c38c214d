/* Random numbers that a seed determines: those of a Lua state are one sequence,
 * which begins anew with each run. Whatever of a run is random takes its
 * numbers from there, in the order in which things happen; so a run under the
 * virtual clock is the same each time.
 *
 * The generator is xoshiro256** 1.0: D. Blackman, S. Vigna: Scrambled linear
 * pseudorandom number generators (2018). Its state is filled by SplitMix64, as
 * they advise. */
#ifndef UJ_RANDOM_H
#define UJ_RANDOM_H

#include <stdint.h>

struct uj_random {
  uint64_t state[4];
};

void uj_random_init(struct uj_random *random, uint64_t seed);

uint64_t uj_random_next(struct uj_random *random);

/* A number from 0 on, below 1. */
static inline double uj_random_fraction(struct uj_random *random)
{
  return (double)(uj_random_next(random) >> 11) * 0x1p-53;
}

#endif
