/* Random orders that a seed determines, for tests of programs whose jobs must
 * not depend on which of them runs first.
 *
 * The generator is SplitMix64: G. Steele, D. Lea, C. Flood: Fast splittable
 * pseudorandom number generators (2014). */
#ifndef UJ_CORE_SHUFFLE_H
#define UJ_CORE_SHUFFLE_H

#include <stdint.h>

#include "core/link.h"

/* Puts a list into a random order, each with the same probability, and moves
 * the seed on. */
void uj_shuffle(struct uj_link *list, uint64_t *seed);

#endif
