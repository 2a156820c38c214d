#include "random/random.h"

static uint64_t split_mix(uint64_t *seed)
{
  uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

void uj_random_init(struct uj_random *random, uint64_t seed)
{
  for (int i = 0; i < 4; i++)
    random->state[i] = split_mix(&seed);
}

static uint64_t rotate(uint64_t x, int by)
{
  return x << by | x >> (64 - by);
}

uint64_t uj_random_next(struct uj_random *random)
{
  uint64_t *s = random->state, shifted = s[1] << 17;
  uint64_t result = rotate(s[1] * 5, 7) * 9;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = rotate(s[3], 45);
  return result;
}
