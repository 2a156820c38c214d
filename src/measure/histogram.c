#include "measure/histogram.h"

#include <math.h>
#include <string.h>

#define UNIT_S 1e-6
#define LONGEST_S ((double)UJ_HISTOGRAM_LONGEST_NS * 1e-9)

enum {
  PER_PAGE = UJ_HISTOGRAM_PER_PAGE,
  PAGES = UJ_HISTOGRAM_PAGES,
  LAST_PAGE = PAGES - 1,
  IN_LAST_PAGE = UJ_HISTOGRAM_IN_LAST_PAGE
};

/* ---- pages --------------------------------------------------------------- */

/* Sums up ever larger groups of bits (Warren, Hacker's Delight, 5-1). */
static unsigned count_bits(uint32_t bits)
{
  bits -= bits >> 1 & UINT32_C(0x55555555);
  bits = (bits & UINT32_C(0x33333333)) + (bits >> 2 & UINT32_C(0x33333333));
  bits = (bits + (bits >> 4)) & UINT32_C(0x0f0f0f0f);
  return bits * UINT32_C(0x01010101) >> 24;
}

static size_t buckets_of(uint32_t pages)
{
  size_t count = (size_t)count_bits(pages) * PER_PAGE;
  return pages >> LAST_PAGE ? count - (PER_PAGE - IN_LAST_PAGE) : count;
}

static size_t size_of(uint32_t pages)
{
  return buckets_of(pages) * sizeof(uint32_t);
}

static uint32_t *page_at(const struct uj_histogram *self, unsigned page)
{
  uint32_t below = self->pages & ((UINT32_C(1) << page) - 1);
  return below == 0 ? self->buckets : self->buckets + buckets_of(below);
}

/* See add_pages(); some are missing. */
static bool make_pages(struct uj_histogram *self, uint32_t wanted,
                       uj_histogram_alloc alloc, void *context)
{
  uint32_t pages = self->pages | wanted;
  size_t left, to = buckets_of(pages);
  uint32_t *buckets;
  left = buckets_of(self->pages);
  buckets = alloc(context, self->buckets, size_of(self->pages), size_of(pages));
  if (buckets == NULL)
    return false;
  for (int page = LAST_PAGE; page >= 0; page--) {
    size_t n = page == LAST_PAGE ? IN_LAST_PAGE : PER_PAGE;
    if (!(pages >> page & 1))
      continue;
    to -= n;
    if (self->pages >> page & 1) {
      left -= n;
      memmove(buckets + to, buckets + left, n * sizeof(*buckets));
    } else
      memset(buckets + to, 0, n * sizeof(*buckets));
  }
  self->buckets = buckets;
  self->pages = pages;
  self->last_page = 0; /* it may stand elsewhere now */
  return true;
}

/* Makes the pages that are missing of these. Returns false when there is no
 * memory for them. */
static inline bool add_pages(struct uj_histogram *self, uint32_t wanted,
                             uj_histogram_alloc alloc, void *context)
{
  return (wanted & ~self->pages) == 0 ||
         make_pages(self, wanted, alloc, context);
}

/* ---- the scale ----------------------------------------------------------- */

static struct uj_histogram_place find_place(double seconds)
{
  struct uj_histogram_place place = {0, 0};
  double part;
  int exponent;
  if (!(seconds > UNIT_S))
    return place;
  if (seconds >= LONGEST_S)
    return (struct uj_histogram_place){LAST_PAGE, IN_LAST_PAGE - 1};
  part = frexp(seconds / UNIT_S, &exponent); /* from 1/2 on, below 1 */
  place.page = (unsigned)exponent - 1;
  place.bucket = (unsigned)((2 * part - 1) * PER_PAGE);
  return place;
}

static double middle_of(unsigned page, unsigned bucket)
{
  return ldexp(1 + (bucket + 0.5) / PER_PAGE, (int)page) * UNIT_S;
}

/* ---- what others call ---------------------------------------------------- */

void uj_histogram_init(struct uj_histogram *self)
{
  *self = (struct uj_histogram){.buckets = NULL};
}

void uj_histogram_term(struct uj_histogram *self, uj_histogram_alloc alloc,
                       void *context)
{
  if (self->buckets != NULL)
    (void)alloc(context, self->buckets, size_of(self->pages), 0);
  uj_histogram_init(self);
}

bool uj_histogram_add(struct uj_histogram *self,
                      struct uj_histogram_place place, double seconds,
                      uj_histogram_alloc alloc, void *context)
{
  uint32_t *bucket;
  if (!add_pages(self, UINT32_C(1) << place.page, alloc, context))
    return false;
  self->last = page_at(self, place.page);
  self->last_page = place.page + 1;
  bucket = self->last + place.bucket;
  if (*bucket == UINT32_MAX)
    uj_histogram_halve(self);
  *bucket += 1;
  self->count++;
  self->sum_s += seconds;
  if (seconds > self->max_s)
    self->max_s = seconds;
  return true;
}

bool uj_histogram_record(struct uj_histogram *self, double seconds,
                         uj_histogram_alloc alloc, void *context)
{
  return uj_histogram_add(self, find_place(seconds), seconds, alloc, context);
}

/* Whether each bucket has room for what is in that of the other one, which has
 * no page that this one does not have; the other one is halved so often before.
 */
static bool has_room(const struct uj_histogram *self,
                     const struct uj_histogram *other, unsigned halvings)
{
  const uint32_t *from = other->buckets;
  for (unsigned page = 0; page < PAGES; page++) {
    size_t n = page == LAST_PAGE ? IN_LAST_PAGE : PER_PAGE;
    const uint32_t *into;
    if (!(other->pages >> page & 1))
      continue;
    into = page_at(self, page);
    for (size_t i = 0; i < n; i++)
      if (into[i] > UINT32_MAX - (*from++ >> halvings) - 1)
        return false;
  }
  return true;
}

static void add_buckets(struct uj_histogram *self,
                        const struct uj_histogram *other, unsigned halvings)
{
  const uint32_t *from = other->buckets;
  uint64_t rest = 0, unit = UINT64_C(1) << halvings;
  for (unsigned page = 0; page < PAGES; page++) {
    size_t n = page == LAST_PAGE ? IN_LAST_PAGE : PER_PAGE;
    uint32_t *into;
    if (!(other->pages >> page & 1))
      continue;
    into = page_at(self, page);
    for (size_t i = 0; i < n; i++) {
      rest += *from++;
      into[i] += (uint32_t)(rest / unit);
      rest %= unit;
    }
  }
}

bool uj_histogram_merge(struct uj_histogram *self,
                        const struct uj_histogram *other,
                        uj_histogram_alloc alloc, void *context)
{
  unsigned halvings = 0;
  if (!add_pages(self, other->pages, alloc, context))
    return false;
  while (!has_room(self, other, halvings)) {
    uj_histogram_halve(self);
    halvings++;
  }
  add_buckets(self, other, halvings);
  self->count += other->count;
  self->sum_s += other->sum_s;
  if (other->max_s > self->max_s)
    self->max_s = other->max_s;
  return true;
}

/* What a bucket loses by rounding goes to the next one. So no quantile moves by
 * more than one duration, and buckets of one each do not all vanish. */
void uj_histogram_halve(struct uj_histogram *self)
{
  size_t n = buckets_of(self->pages);
  uint64_t rest = 1; /* something is left of one duration */
  for (size_t i = 0; i < n; i++) {
    rest += self->buckets[i];
    self->buckets[i] = (uint32_t)(rest / 2);
    rest %= 2;
  }
}

static uint64_t weigh(const struct uj_histogram *self)
{
  uint64_t weight = 0;
  size_t n = buckets_of(self->pages);
  for (size_t i = 0; i < n; i++)
    weight += self->buckets[i];
  return weight;
}

/* The middle of the bucket in which so many durations are reached. */
static double find_rank(const struct uj_histogram *self, double rank)
{
  const uint32_t *bucket = self->buckets;
  uint64_t seen = 0;
  for (unsigned page = 0; page < PAGES; page++) {
    unsigned n = page == LAST_PAGE ? IN_LAST_PAGE : PER_PAGE;
    if (!(self->pages >> page & 1))
      continue;
    for (unsigned i = 0; i < n; i++) {
      seen += *bucket++;
      if ((double)seen >= rank && seen > 0)
        return middle_of(page, i);
    }
  }
  return self->max_s;
}

double uj_histogram_quantile(const struct uj_histogram *self, double q)
{
  double found_s;
  if (self->count == 0 || q >= 1)
    return self->max_s;
  found_s = find_rank(self, ceil(q * (double)weigh(self)));
  return found_s < self->max_s ? found_s : self->max_s;
}

size_t uj_histogram_size(const struct uj_histogram *self)
{
  return size_of(self->pages);
}

bool uj_histogram_check(const struct uj_histogram *self)
{
  if ((self->pages == 0) != (self->buckets == NULL))
    return false;
  if ((self->count == 0) != (weigh(self) == 0))
    return false;
  return weigh(self) <= self->count;
}
