/* Time as the core counts it: unsigned 64-bit nanoseconds on a monotonic
 * clock. UJ_NEVER is later than every time, and sums saturate to it. */
#ifndef UJ_CORE_CLOCK_H
#define UJ_CORE_CLOCK_H

#include <stdint.h>

#define UJ_NEVER UINT64_MAX

static inline uint64_t uj_clock_add(uint64_t time_ns, uint64_t span_ns)
{
  return span_ns > UJ_NEVER - time_ns ? UJ_NEVER : time_ns + span_ns;
}

static inline uint64_t uj_clock_min(uint64_t a_ns, uint64_t b_ns)
{
  return a_ns < b_ns ? a_ns : b_ns;
}

static inline uint64_t uj_clock_max(uint64_t a_ns, uint64_t b_ns)
{
  return a_ns > b_ns ? a_ns : b_ns;
}

#endif
