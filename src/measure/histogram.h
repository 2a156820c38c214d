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
  /* The page to which was added last, as durations of one kind are mostly of
   * one size: its number and one more, or 0 for none; and its buckets. */
  unsigned last_page;
  uint32_t *last;
};

void uj_histogram_init(struct uj_histogram *self);

/* Gives its memory back. */
void uj_histogram_term(struct uj_histogram *self, uj_histogram_alloc alloc,
                       void *context);

/* Adds a duration. Returns false, and adds nothing, when there is no memory for
 * it. */
bool uj_histogram_record(struct uj_histogram *self, double seconds,
                         uj_histogram_alloc alloc, void *context);

enum {
  UJ_HISTOGRAM_PER_PAGE = 64,
  UJ_HISTOGRAM_PAGES = 32,       /* 2^32 microseconds are 71 minutes */
  UJ_HISTOGRAM_IN_LAST_PAGE = 44 /* up to an hour */
};
#define UJ_HISTOGRAM_LONGEST_NS UINT64_C(3600000000000)

struct uj_histogram_place {
  unsigned page, bucket;
};

/* Where a duration in nanoseconds belongs. Floating point is too slow for each
 * job. In units of 1/64 microseconds the first seven bits of a number are its
 * bucket. */
static inline struct uj_histogram_place uj_histogram_find_ns(uint64_t ns)
{
  struct uj_histogram_place place = {0, 0};
  uint64_t units;
  if (ns < 1000)
    return place;
  if (ns >= UJ_HISTOGRAM_LONGEST_NS)
    return (struct uj_histogram_place){UJ_HISTOGRAM_PAGES - 1,
                                       UJ_HISTOGRAM_IN_LAST_PAGE - 1};
  units = ns * UJ_HISTOGRAM_PER_PAGE / 1000;
  place.page = 57 - (unsigned)__builtin_clzll(units);
  place.bucket = (unsigned)(units >> place.page) - UJ_HISTOGRAM_PER_PAGE;
  return place;
}

bool uj_histogram_add(struct uj_histogram *self,
                      struct uj_histogram_place place, double seconds,
                      uj_histogram_alloc alloc, void *context);

/* The same as uj_histogram_record() for a duration in nanoseconds, which is at
 * this place. */
static inline bool uj_histogram_add_ns(struct uj_histogram *self,
                                       struct uj_histogram_place place,
                                       uint64_t ns, uj_histogram_alloc alloc,
                                       void *context)
{
  double seconds = (double)ns * 1e-9;
  uint32_t *bucket = NULL;
  if (self->last_page == place.page + 1)
    bucket = self->last + place.bucket;
  if (bucket == NULL || *bucket == UINT32_MAX)
    return uj_histogram_add(self, place, seconds, alloc, context);
  *bucket += 1;
  self->count++;
  self->sum_s += seconds;
  if (seconds > self->max_s)
    self->max_s = seconds;
  return true;
}

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
