#include "core/rate.h"

#include <assert.h>

#define NS_PER_S UINT64_C(1000000000)
#define FASTEST 4.611686018427388e18 /* 2^62: more would not fit `parts` */

static const struct uj_rate_time never = {UJ_NEVER, 0};

static struct uj_rate_time add(const struct uj_rate *rate,
                               struct uj_rate_time a, struct uj_rate_time b)
{
  struct uj_rate_time sum = {uj_clock_add(a.ns, b.ns), a.part + b.part};
  if (sum.part >= rate->parts) {
    sum.part -= rate->parts;
    sum.ns = uj_clock_add(sum.ns, 1);
  }
  return sum.ns == UJ_NEVER ? never : sum;
}

/* a - b, which is 0 when b is greater. */
static struct uj_rate_time subtract(const struct uj_rate *rate,
                                    struct uj_rate_time a,
                                    struct uj_rate_time b)
{
  struct uj_rate_time zero = {0, 0};
  if (a.ns < b.ns || (a.ns == b.ns && a.part < b.part))
    return zero;
  a.ns -= b.ns;
  if (a.part < b.part) {
    a.ns--;
    a.part += rate->parts;
  }
  a.part -= b.part;
  return a;
}

/* `count` steps, by doubling. */
static struct uj_rate_time steps(const struct uj_rate *rate, uint64_t count)
{
  struct uj_rate_time sum = {0, 0}, doubled = rate->step;
  for (; count != 0; count >>= 1) {
    if (count & 1)
      sum = add(rate, sum, doubled);
    doubled = add(rate, doubled, doubled);
  }
  return sum;
}

/* The rate is whole / 2^halvings events a second. One that is infinite, or
 * nearly, has steps of nothing. */
static unsigned to_whole(double per_s, uint64_t *whole)
{
  unsigned halvings = 0;
  while (per_s < FASTEST / 1024 && (double)(uint64_t)per_s != per_s) {
    per_s *= 2; /* exact: only the exponent changes */
    halvings++;
  }
  *whole = (uint64_t)per_s;
  return halvings;
}

void uj_rate_init(struct uj_rate *rate, double per_s, uint64_t burst)
{
  unsigned halvings;
  assert(per_s > 0 && burst >= 1);
  rate->parts = 1;
  rate->step = rate->slack = (struct uj_rate_time){0, 0};
  if (per_s > FASTEST)
    return;
  halvings = to_whole(per_s, &rate->parts);
  rate->step.ns = NS_PER_S / rate->parts;
  rate->step.part = NS_PER_S % rate->parts;
  for (; halvings > 0 && rate->step.ns != UJ_NEVER; halvings--)
    rate->step = add(rate, rate->step, rate->step);
  rate->slack = steps(rate, burst - 1);
}

/* When the bucket would be full again if `ahead` events were taken now. */
static struct uj_rate_time full_after(const struct uj_rate *rate,
                                      const struct uj_bucket *bucket,
                                      uint64_t ahead, uint64_t now_ns)
{
  struct uj_rate_time full = bucket->full;
  if (full.ns < now_ns)
    full = (struct uj_rate_time){now_ns, 0};
  if (ahead == 0)
    return full;
  return add(rate, full, ahead == 1 ? rate->step : steps(rate, ahead));
}

uint64_t uj_rate_due(const struct uj_rate *rate, const struct uj_bucket *bucket,
                     uint64_t ahead, uint64_t now_ns)
{
  struct uj_rate_time due = full_after(rate, bucket, ahead, now_ns);
  if (due.ns == UJ_NEVER)
    return UJ_NEVER; /* what cannot be counted any more is not allowed */
  due = subtract(rate, due, rate->slack);
  return due.part == 0 ? due.ns : due.ns + 1;
}

void uj_rate_take(const struct uj_rate *rate, struct uj_bucket *bucket,
                  uint64_t now_ns)
{
  bucket->full = full_after(rate, bucket, 1, now_ns);
}

static double in_ns(const struct uj_rate *rate, struct uj_rate_time span)
{
  return (double)span.ns + (double)span.part / (double)rate->parts;
}

/* How many events the bucket lacks; at most a burst if that cannot be told. */
static double lacking(const struct uj_rate *rate,
                      const struct uj_bucket *bucket, uint64_t now_ns)
{
  struct uj_rate_time now = {now_ns, 0};
  double step_ns = in_ns(rate, rate->step);
  if (step_ns == 0)
    return 0;
  if (bucket->full.ns == UJ_NEVER)
    return in_ns(rate, rate->slack) / step_ns + 1;
  return in_ns(rate, subtract(rate, bucket->full, now)) / step_ns;
}

/* A double has 53 bits: what it loses is made good by the factor. */
void uj_rate_change(const struct uj_rate *from, const struct uj_rate *to,
                    struct uj_bucket *bucket, uint64_t now_ns)
{
  double lack_ns = lacking(from, bucket, now_ns) * in_ns(to, to->step);
  bucket->full = (struct uj_rate_time){now_ns, 0};
  if (lack_ns >= (double)(UJ_NEVER - now_ns) / 2)
    bucket->full = never;
  else if (lack_ns > 0)
    bucket->full.ns += (uint64_t)(lack_ns * (1 + 1e-15)) + 1;
}
