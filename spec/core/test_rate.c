/* core/rate.h, against a count of all events in all intervals. */
#include "check.h"

#include "core/rate.h"

enum { EVENTS = 400 };

#define S UINT64_C(1000000000)

static struct uj_rate rate;
static struct uj_bucket bucket;

static void start(double per_s, uint64_t burst)
{
  uj_rate_init(&rate, per_s, burst);
  memset(&bucket, 0, sizeof bucket);
}

/* Takes an event as soon as one is allowed, from `now_ns` on; returns when. */
static uint64_t take(uint64_t now_ns)
{
  uint64_t due_ns = uj_rate_due(&rate, &bucket, 0, now_ns);
  if (due_ns > now_ns)
    now_ns = due_ns;
  CHECK(uj_rate_allows(&rate, &bucket, 0, now_ns));
  uj_rate_take(&rate, &bucket, now_ns);
  return now_ns;
}

static void a_burst_comes_at_once(void)
{
  start(10, 3);
  for (int i = 0; i < 3; i++)
    CHECK_EQ(take(7), 7);
  CHECK_EQ(take(7), 7 + S / 10);
  CHECK_EQ(take(7), 7 + 2 * (S / 10));
  CHECK_EQ(take(5 * S), 5 * S);
  CHECK_EQ(take(5 * S), 5 * S);
  CHECK_EQ(take(5 * S), 5 * S);
  CHECK_EQ(take(5 * S), 5 * S + S / 10);
}

static void a_third_of_a_second_is_not_rounded(void)
{
  uint64_t at_ns = 0;
  start(3, 2);
  for (int i = 0; i <= 3000001; i++)
    at_ns = take(at_ns);
  CHECK_EQ(at_ns, 1000000 * S);
}

static void a_tenth_of_an_event_is_what_a_double_holds(void)
{
  uint64_t at_ns = 0;
  start(0.1, 1); /* a double is a little more than a tenth */
  for (uint64_t i = 0; i < 1000; i++) {
    at_ns = take(at_ns);
    CHECK_EQ(at_ns, i * 10 * S);
  }
}

static void those_to_come_count(void)
{
  start(1, 3);
  CHECK_EQ(uj_rate_due(&rate, &bucket, 2, 5), 5);
  CHECK_EQ(uj_rate_due(&rate, &bucket, 3, 5), 5 + S);
  CHECK_EQ(uj_rate_due(&rate, &bucket, 5, 5), 5 + 3 * S);
  CHECK(!uj_rate_allows(&rate, &bucket, 3, 5));
}

static void extremes_hold(void)
{
  start(1e300, 1);
  for (int i = 0; i < 9; i++)
    CHECK_EQ(take(1), 1);
  start(5e-324, 2);
  take(1);
  CHECK_EQ(uj_rate_due(&rate, &bucket, 0, UJ_NEVER - 1), UJ_NEVER);
  start(1e-9, UINT64_MAX);
  for (int i = 0; i < 18; i++)
    CHECK_EQ(take(1), 1);
  start(4e18, 1);
  for (int i = 0; i < 9; i++)
    take(1);
  CHECK_EQ(uj_rate_due(&rate, &bucket, 0, 1), 10); /* a clock has no parts */
  start(1, UINT64_MAX);
  CHECK_EQ(uj_rate_due(&rate, &bucket, UINT64_MAX, 1), UJ_NEVER);
}

static void a_change_keeps_what_is_lacking(void)
{
  struct uj_rate fast;
  start(1, 10);
  for (int i = 0; i < 10; i++)
    take(0);
  uj_rate_init(&fast, 100, 10);
  uj_rate_change(&rate, &fast, &bucket, 4 * S); /* it lacks six of ten */
  rate = fast;
  for (int i = 0; i < 3; i++)
    CHECK_EQ(take(4 * S), 4 * S);
  CHECK(take(4 * S) <= 4 * S + 1);
  CHECK(take(4 * S) > 4 * S);
}

static void a_change_of_what_is_full_is_full(void)
{
  struct uj_rate other;
  start(1.0 / 3, 1);
  take(S / 7);
  uj_rate_init(&other, 7, 2);
  uj_rate_change(&rate, &other, &bucket, 9 * S);
  rate = other;
  CHECK_EQ(take(9 * S), 9 * S);
  CHECK_EQ(take(9 * S), 9 * S);
  start(1e300, 1);
  take(3);
  uj_rate_change(&rate, &other, &bucket, 3);
  rate = other;
  CHECK_EQ(take(3), 3);
}

static void a_change_ends_what_would_never(void)
{
  struct uj_rate other;
  start(5e-324, 2);
  take(1);
  uj_rate_init(&other, 1, 2);
  uj_rate_change(&rate, &other, &bucket, 1);
  rate = other;
  CHECK(take(1) < 5 * S);
}

/* ---- every interval ------------------------------------------------------ */

/* floor(per_s * span), for a rate that is whole / parts. */
static uint64_t events_in(uint64_t whole, uint64_t parts, uint64_t span_ns)
{
  return span_ns / (parts * S) * whole +
         span_ns % (parts * S) * whole / (parts * S);
}

/* Random pauses and demands, for a rate of `whole` in `parts` seconds, where
 * `parts` is a power of two: no interval has more than is allowed, and none
 * that begins with an empty bucket fewer. */
static void keeps_every_interval(uint64_t seed)
{
  static uint64_t at_ns[EVENTS];
  uint64_t whole = 1 + check_random(&seed) % 1000;
  uint64_t parts = UINT64_C(1) << check_random(&seed) % 8;
  uint64_t burst = 1 + check_random(&seed) % 9, now_ns = seed % S;
  start((double)whole / (double)parts, burst);
  for (int i = 0; i < EVENTS; i++) {
    uint64_t step_ns = parts * S / whole;
    if (check_random(&seed) % 4 == 0)
      now_ns += check_random(&seed) % (step_ns * (1 + 2 * burst));
    at_ns[i] = now_ns = take(now_ns);
  }
  for (int i = 0; i < EVENTS; i++)
    for (int j = i; j < EVENTS; j++)
      CHECK((uint64_t)(j - i + 1) <=
            burst + events_in(whole, parts, at_ns[j] - at_ns[i]));
}

static void random_demands(void)
{
  check_rounds((struct check_range){300, 1}, keeps_every_interval);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a burst comes at once, and no more", a_burst_comes_at_once},
      {"a third of a second is not rounded, #P6",
       a_third_of_a_second_is_not_rounded},
      {"a tenth of an event a second is what a double holds",
       a_tenth_of_an_event_is_what_a_double_holds},
      {"events that are certain to come count", those_to_come_count},
      {"the greatest and the least rates hold", extremes_hold},
      {"a change of the rate keeps what is lacking",
       a_change_keeps_what_is_lacking},
      {"a change of a full bucket leaves it full",
       a_change_of_what_is_full_is_full},
      {"a change ends what would have been never",
       a_change_ends_what_would_never},
      {"no interval has more than is allowed, #P6", random_demands},
  };
  return CHECK_RUN(tests);
}
