/* measure/histogram.h, compared with sorted lists of the durations. */
#include "check.h"

#include <math.h>

#include "measure/histogram.h"
#include "random/random.h"

enum { MANY = 3000 };

static struct uj_histogram a, b;
static struct uj_random chance;
static double list[2 * MANY];
static size_t length;
static size_t allocated; /* bytes */
static bool no_memory;

static void *allocate(void *context, void *block, size_t old_size,
                      size_t new_size)
{
  (void)context;
  CHECK_EQ(block == NULL, old_size == 0);
  if (new_size == 0) {
    free(block);
    allocated -= old_size;
    return NULL;
  }
  if (no_memory)
    return NULL;
  allocated += new_size - old_size;
  return realloc(block, new_size);
}

static void begin(void)
{
  uj_histogram_init(&a);
  uj_histogram_init(&b);
  length = 0;
}

static void finish(void)
{
  CHECK_EQ(allocated, uj_histogram_size(&a) + uj_histogram_size(&b));
  CHECK(uj_histogram_check(&a) && uj_histogram_check(&b));
  uj_histogram_term(&a, allocate, NULL);
  uj_histogram_term(&b, allocate, NULL);
  CHECK_EQ(allocated, 0);
}

static void record(struct uj_histogram *self, double seconds)
{
  CHECK(uj_histogram_record(self, seconds, allocate, NULL));
  list[length++] = seconds;
}

static int compare(const void *one, const void *other)
{
  double x = *(const double *)one, y = *(const double *)other;
  return (x > y) - (x < y);
}

static bool is_near(double got, double expected, double part)
{
  return fabs(got - expected) <= part * expected;
}

/* Both ways of adding a duration find the same bucket, up to rounding at its
 * edge. */
static void nanoseconds_find_the_same_bucket(void)
{
  for (uint64_t ns = 1; ns < UINT64_C(5000000000000); ns += ns / 7 + 1) {
    struct uj_histogram one, other;
    double off;
    uj_histogram_init(&one);
    uj_histogram_init(&other);
    CHECK(uj_histogram_record(&one, (double)ns / 1e9, allocate, NULL));
    CHECK(uj_histogram_add_ns(&other, uj_histogram_find_ns(ns), ns, allocate,
                              NULL));
    off = uj_histogram_quantile(&one, 0.5) - uj_histogram_quantile(&other, 0.5);
    CHECK(off * off <= 4e-4 * one.max_s * one.max_s);
    CHECK(one.count == 1 && other.count == 1);
    uj_histogram_term(&one, allocate, NULL);
    uj_histogram_term(&other, allocate, NULL);
  }
}

static void check_against_list(const struct uj_histogram *self, double part)
{
  double sum = 0;
  qsort(list, length, sizeof(list[0]), compare);
  for (size_t i = 0; i < length; i++)
    sum += list[i];
  CHECK_EQ(self->count, length);
  CHECK(is_near(self->sum_s, sum, 1e-9));
  CHECK(self->max_s == list[length - 1]);
  CHECK(uj_histogram_quantile(self, 1) == list[length - 1]);
  for (int i = 0; i < 100; i++) {
    size_t rank = (size_t)ceil(i / 100.0 * (double)length);
    double expected = list[rank > 0 ? rank - 1 : 0];
    double got = uj_histogram_quantile(self, i / 100.0);
    CHECK(is_near(got, expected, part));
  }
}

/* A duration from a microsecond to an hour, of any order of size. */
static double any_duration(void)
{
  double x = 1e-6 * exp(uj_random_fraction(&chance) * log(3600e6));
  return x < 3600 ? x : 3600;
}

static void quantiles_are_within_one_percent(void)
{
  for (uint64_t seed = 1; seed <= 20; seed++) {
    double low = 0, high = 0;
    check_seed(seed);
    uj_random_init(&chance, seed);
    begin();
    low = any_duration();
    high = any_duration();
    for (int i = 0; i < MANY; i++)
      record(&a, seed % 2 ? any_duration()
                          : low + (high - low) * uj_random_fraction(&chance));
    check_against_list(&a, 0.01);
    finish();
  }
}

static void merging_is_as_recording_all_in_one(void)
{
  for (uint64_t seed = 1; seed <= 20; seed++) {
    check_seed(seed);
    uj_random_init(&chance, seed);
    begin();
    for (int i = 0; i < MANY; i++) {
      double seconds = any_duration();
      record(uj_random_next(&chance) % seed ? &a : &b, seconds);
    }
    CHECK(uj_histogram_merge(&a, &b, allocate, NULL));
    check_against_list(&a, 0.01);
    finish();
  }
}

static void merging_with_itself_doubles(void)
{
  begin();
  record(&a, 1);
  record(&a, 2);
  CHECK(uj_histogram_merge(&a, &a, allocate, NULL));
  CHECK_EQ(a.count, 4);
  CHECK(a.sum_s == 6);
  CHECK(is_near(uj_histogram_quantile(&a, 0.5), 1, 0.01));
  finish();
}

static void an_empty_one_has_zeros(void)
{
  begin();
  CHECK_EQ(uj_histogram_size(&a), 0);
  CHECK(uj_histogram_quantile(&a, 0.5) == 0);
  CHECK(uj_histogram_quantile(&a, 1) == 0);
  uj_histogram_halve(&a);
  CHECK(uj_histogram_merge(&a, &b, allocate, NULL));
  CHECK_EQ(a.count, 0);
  finish();
}

static void what_is_off_the_scale_counts_at_its_ends(void)
{
  begin();
  record(&a, 0);
  record(&a, 1e-12);
  CHECK(uj_histogram_quantile(&a, 0.5) == 1e-12);
  record(&a, 3600);
  record(&a, 1e300);
  record(&a, INFINITY);
  CHECK(is_near(uj_histogram_quantile(&a, 0.9), 3600, 0.01));
  CHECK(isinf(a.max_s));
  CHECK(isinf(uj_histogram_quantile(&a, 1)));
  CHECK_EQ(a.count, 5);
  finish();
}

static void has_eight_kilobytes_at_most(void)
{
  begin();
  record(&a, 0.001);
  CHECK_EQ(uj_histogram_size(&a), 256);
  for (double seconds = 1e-6; seconds < 4000; seconds *= 1.5)
    CHECK(uj_histogram_record(&a, seconds, allocate, NULL));
  CHECK(sizeof(a) + uj_histogram_size(&a) <= 8192);
  finish();
}

static void halving_keeps_the_quantiles(void)
{
  for (uint64_t seed = 1; seed <= 20; seed++) {
    check_seed(seed);
    uj_random_init(&chance, seed);
    begin();
    for (int i = 0; i < MANY; i++)
      record(&a, 1 + uj_random_fraction(&chance));
    uj_histogram_halve(&a);
    check_against_list(&a, 0.02);
    finish();
  }
}

static void halving_lets_new_durations_count_more(void)
{
  begin();
  for (int i = 0; i < 1000; i++)
    record(&a, 1);
  for (int i = 0; i < 20; i++)
    uj_histogram_halve(&a);
  CHECK(is_near(uj_histogram_quantile(&a, 0.5), 1, 0.01));
  for (int i = 0; i < 10; i++)
    record(&a, 2);
  CHECK(is_near(uj_histogram_quantile(&a, 0.5), 2, 0.01));
  CHECK_EQ(a.count, 1010);
  finish();
}

static void a_full_bucket_halves_all(void)
{
  begin();
  for (int i = 0; i < 10; i++)
    record(&a, 1);
  for (int i = 0; i < 30; i++)
    CHECK(uj_histogram_merge(&a, &a, allocate, NULL));
  record(&b, 2);
  CHECK(uj_histogram_merge(&b, &a, allocate, NULL));
  CHECK(uj_histogram_merge(&b, &a, allocate, NULL));
  CHECK_EQ(b.count, 1 + 2 * (UINT64_C(10) << 30));
  CHECK(is_near(uj_histogram_quantile(&b, 0.999), 1, 0.01));
  CHECK(b.max_s == 2);
  finish();
}

static void without_memory_nothing_changes(void)
{
  begin();
  record(&a, 1);
  record(&b, 100);
  no_memory = true;
  CHECK(!uj_histogram_record(&a, 50, allocate, NULL));
  CHECK(!uj_histogram_merge(&a, &b, allocate, NULL));
  CHECK(uj_histogram_record(&a, 1, allocate, NULL));
  no_memory = false;
  CHECK_EQ(a.count, 2);
  CHECK(a.max_s == 1);
  finish();
}

int main(void)
{
  static const struct check_test tests[] = {
      {"quantiles are within one per cent", quantiles_are_within_one_percent},
      {"merging is as recording all in one",
       merging_is_as_recording_all_in_one},
      {"merging with itself doubles", merging_with_itself_doubles},
      {"an empty one has zeros", an_empty_one_has_zeros},
      {"what is off the scale counts at its ends",
       what_is_off_the_scale_counts_at_its_ends},
      {"it has eight kilobytes at most", has_eight_kilobytes_at_most},
      {"halving keeps the quantiles", halving_keeps_the_quantiles},
      {"halving lets new durations count more",
       halving_lets_new_durations_count_more},
      {"a full bucket halves all", a_full_bucket_halves_all},
      {"nanoseconds find the same bucket", nanoseconds_find_the_same_bucket},
      {"without memory nothing changes", without_memory_nothing_changes},
  };
  return CHECK_RUN(tests);
}
