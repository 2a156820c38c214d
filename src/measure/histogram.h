/* Histograms of durations, from which quantiles are read.
 *
 * The scale is log-linear, as that of HdrHistogram (Gil Tene,
 * hdrhistogram.org): each power of two is divided into 64 equal buckets. So a
 * bucket is no wider than 1/64 of what is in it, and a quantile, which is the
 * middle of a bucket, is off by less than 1 %. The scale reaches from a
 * microsecond to an hour; shorter durations count as a microsecond, and longer
 * ones as an hour, but the longest and the sum are exact.
 *
 * The 64 buckets of a power of two are a page, which is there from the first
 * duration in it on. The pages that are there stand one behind the other, in
 * the order of the scale, and a bit of a word says of each whether it is. So an
 * empty histogram has none, one of a service that answers within some
 * milliseconds about a kilobyte, and none has more than 8 KB. */
#ifndef UJ_MEASURE_HISTOGRAM_H
#define UJ_MEASURE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As that of Lua: realloc() with the old size; a new size of 0 is free(). */
typedef void *(*uj_histogram_alloc)(void *context, void *block, size_t old_size,
                                    size_t new_size);

struct uj_histogram {
  uint64_t count; /* of all durations */
  double sum_s;
  double max_s;
  uint32_t pages;    /* bit p: the page of 2^p microseconds is there */
  uint32_t *buckets; /* of the pages that are there */
};

void uj_histogram_init(struct uj_histogram *self);

/* Gives its memory back. */
void uj_histogram_term(struct uj_histogram *self, uj_histogram_alloc alloc,
                       void *context);

/* Adds a duration. Returns false, and adds nothing, when there is no memory for
 * it. */
bool uj_histogram_record(struct uj_histogram *self, double seconds,
                         uj_histogram_alloc alloc, void *context);

/* The same for a duration in nanoseconds, which is found faster. */
bool uj_histogram_record_ns(struct uj_histogram *self, uint64_t ns,
                            uj_histogram_alloc alloc, void *context);

/* Adds all durations of another one, which may be the same one. Returns false,
 * and adds nothing, when there is no memory for them. */
bool uj_histogram_merge(struct uj_histogram *self,
                        const struct uj_histogram *other,
                        uj_histogram_alloc alloc, void *context);

/* Halves the weight of what has been added so far, for quantiles; the count,
 * the sum and the longest are left as they are. Whoever wants to know how it is
 * lately does so every some hundred durations. It happens by itself when a
 * bucket is full, after four thousand million. */
void uj_histogram_halve(struct uj_histogram *self);

/* The duration that the part `q` of all is not above, from 0 to 1; 0 when the
 * histogram is empty. q = 1 is the longest, exactly. */
double uj_histogram_quantile(const struct uj_histogram *self, double q);

/* The bytes that it has besides the struct. */
size_t uj_histogram_size(const struct uj_histogram *self);

/* Whether its parts agree, for tests. */
bool uj_histogram_check(const struct uj_histogram *self);

#endif
