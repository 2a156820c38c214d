/* A rate that is never exceeded: so many events a second, of which so many may
 * come at once after a pause.
 *
 * In every half-open interval of length W there are at most
 * burst + floor(rate * W) events, exactly: the time between two events is kept
 * as a whole number of nanoseconds and a fraction, whose denominator is that of
 * the rate itself, so that nothing is rounded however many events there are.
 * (With a burst of 1 the clock rounds: two events are a whole number of
 * nanoseconds apart, which must not be too few.)
 *
 * It is the generic cell rate algorithm (ITU-T I.371, 1993, Annex A) in its
 * form of virtual scheduling: one time is remembered, that at which the bucket
 * would be full again. A bucket that is not used is full, and then it is
 * the same as a new one. */
#ifndef UJ_CORE_RATE_H
#define UJ_CORE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"

/* A time, or a span: `ns` and `part` / uj_rate::parts nanoseconds. A time that
 * is too late to be counted is UJ_NEVER. */
struct uj_rate_time {
  uint64_t ns;
  uint64_t part; /* less than uj_rate::parts */
};

/* What is allowed. It does not change while it is used, so that many buckets
 * can share it. */
struct uj_rate {
  uint64_t parts;            /* of a nanosecond */
  struct uj_rate_time step;  /* between two events, on average */
  struct uj_rate_time slack; /* by how much events may come before that: all of
                                a burst but its first */
};

/* What has happened. 16 bytes, and all zero when it is new, which is a full
 * one. */
struct uj_bucket {
  struct uj_rate_time full; /* when it has regained all */
};

/* For a rate in events per second, greater than 0, and a burst of at least 1.
 * An infinite rate, or one of more than 2^62 events a second, allows
 * everything. */
void uj_rate_init(struct uj_rate *rate, double per_s, uint64_t burst);

/* When one more event is allowed after `ahead` others that are certain to be
 * taken and have not been: a time that has passed when it is allowed now. */
uint64_t uj_rate_due(const struct uj_rate *rate, const struct uj_bucket *bucket,
                     uint64_t ahead, uint64_t now_ns);

static inline bool uj_rate_allows(const struct uj_rate *rate,
                                  const struct uj_bucket *bucket,
                                  uint64_t ahead, uint64_t now_ns)
{
  return uj_rate_due(rate, bucket, ahead, now_ns) <= now_ns;
}

/* An event happens, which is allowed. */
void uj_rate_take(const struct uj_rate *rate, struct uj_bucket *bucket,
                  uint64_t now_ns);

/* The bucket goes on with another rate: what it lacks, in events, it lacks
 * then, too, rounded up by a nanosecond or so. */
void uj_rate_change(const struct uj_rate *from, const struct uj_rate *to,
                    struct uj_bucket *bucket, uint64_t now_ns);

#endif
