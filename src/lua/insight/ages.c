#include "lua/insight/ages.h"

#include "core/clock.h"

void uj_ages_clear(struct uj_ages *ages)
{
  ages->count = 0;
}

/* Drops samples as long as no age is known by less than one part in `parts` for
 * it. */
static void thin_to(struct uj_ages *ages, uint64_t now_ns, uint64_t parts)
{
  struct uj_ages_sample *samples = ages->samples;
  uint32_t kept = 1, last = ages->count - 1;
  for (uint32_t i = 1; i < last; i++) {
    uint64_t next_ns = samples[i + 1].time_ns;
    if (next_ns - samples[kept - 1].time_ns > (now_ns - next_ns) / parts)
      samples[kept++] = samples[i];
  }
  samples[kept++] = samples[last];
  ages->count = kept;
}

/* Makes room for a quarter at least, so that this is seldom done. */
static void thin(struct uj_ages *ages, uint64_t now_ns)
{
  uint64_t parts = 128;
  do {
    parts = parts > 1 ? parts / 2 : 1;
    thin_to(ages, now_ns, parts);
  } while (ages->count > UJ_AGES_ROOM / 4 * 3 && parts > 1);
  if (ages->count == UJ_AGES_ROOM)
    ages->samples[--ages->count - 1] = ages->samples[UJ_AGES_ROOM - 1];
}

void uj_ages_note(struct uj_ages *ages, uint64_t last_id, uint64_t now_ns)
{
  struct uj_ages_sample *samples = ages->samples;
  if (ages->count > 0 && samples[ages->count - 1].last_id == last_id) {
    samples[ages->count - 1].time_ns = now_ns;
    return;
  }
  if (ages->count == UJ_AGES_ROOM)
    thin(ages, now_ns);
  samples[ages->count++] = (struct uj_ages_sample){last_id, now_ns};
}

/* How many samples are from before the job: a binary search. */
static uint32_t count_before(const struct uj_ages *ages, uint64_t id)
{
  uint32_t low = 0, high = ages->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (ages->samples[middle].last_id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

uint64_t uj_ages_born(const struct uj_ages *ages, uint64_t id)
{
  uint32_t n = count_before(ages, id);
  return n == 0 ? UJ_NEVER : ages->samples[n - 1].time_ns;
}
