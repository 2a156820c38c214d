/* What the fuzzers of src/calendar share: what must hold of every zone and of
 * every pattern, and the main function of a program without libFuzzer.
 *
 * A program plays for as long as you like. Usage:
 *   PROGRAM [SECONDS [FIRST SEED]]
 *     changes examples at random; for one minute, with seeds from the clock,
 *     unless told otherwise
 *   PROGRAM FILE...
 *     plays files, such as those of a fuzzer
 * With FUZZ_LIBFUZZER defined it is a target of libFuzzer instead. */
#ifndef SPEC_FUZZ_FUZZ_CALENDAR_H
#define SPEC_FUZZ_FUZZ_CALENDAR_H

#include "check.h"

#include <time.h>

#include "calendar/civil.h"
#include "calendar/fire.h"
#include "calendar/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An instant soon after the year 2199. */
#define FUZZ_END_S INT64_C(7258300000)

/* ---- what must hold --------------------------------------------------------
 */

/* Whether no two changes of a zone are nearer to each other than their jumps
 * are long. No real zone is otherwise, and for such zones less is promised: see
 * fire.c. */
static inline bool fuzz_is_calm(const struct uj_zone *zone)
{
  struct uj_span span = uj_zone_span(zone, -UJ_DAY_S * 366);
  int64_t jump_s = 0;
  while (span.end_s < FUZZ_END_S) {
    struct uj_span next = uj_zone_span(zone, span.end_s);
    int64_t before_s = jump_s;
    jump_s = llabs((int64_t)next.offset_s - span.offset_s);
    if (span.begin_s != UJ_INSTANT_MIN &&
        span.end_s - span.begin_s <= before_s + jump_s)
      return false;
    span = next;
  }
  return true;
}

/* Checks that a schedule fires at the same instants forwards and backwards
 * (R2). */
static inline void fuzz_check_fire(const struct uj_fire *fire, int64_t from_s,
                                   bool is_calm)
{
  int64_t next_s = uj_fire_next(fire, from_s);
  int64_t previous_s = uj_fire_previous(fire, from_s);
  CHECK(next_s == UJ_FIRE_NEVER || next_s > from_s);
  CHECK(previous_s == UJ_FIRE_NEVER || previous_s < from_s);
  if (!is_calm && !fire->cron->is_interval)
    return;
  if (next_s != UJ_FIRE_NEVER) {
    int64_t back_s = uj_fire_previous(fire, next_s);
    CHECK_EQ(uj_fire_next(fire, next_s - 1), next_s);
    CHECK(back_s == UJ_FIRE_NEVER || back_s <= from_s);
  }
  if (previous_s != UJ_FIRE_NEVER) {
    int64_t on_s = uj_fire_next(fire, previous_s);
    CHECK_EQ(uj_fire_previous(fire, previous_s + 1), previous_s);
    CHECK(on_s == UJ_FIRE_NEVER || on_s >= from_s);
  }
}

static inline void fuzz_check_fires(const struct uj_cron *cron,
                                    const struct uj_zone *zone, int64_t from_s,
                                    bool is_calm)
{
  for (int gap = UJ_GAP_RUN; gap <= UJ_GAP_SKIP; gap++) {
    for (int fold = UJ_FOLD_FIRST; fold <= UJ_FOLD_BOTH; fold++) {
      struct uj_fire fire = {cron, zone, (enum uj_gap)gap, (enum uj_fold)fold};
      fuzz_check_fire(&fire, from_s, is_calm);
    }
  }
}

/* Checks the span at an instant, and how it joins the next one. */
static inline void fuzz_check_span(const struct uj_zone *zone,
                                   int64_t instant_s)
{
  struct uj_span span = uj_zone_span(zone, instant_s);
  CHECK(span.begin_s <= instant_s && instant_s < span.end_s);
  CHECK(span.offset_s >= -UJ_OFFSET_MAX_S && span.offset_s <= UJ_OFFSET_MAX_S);
  CHECK(strlen(span.name) < 2000);
  if (span.begin_s != UJ_INSTANT_MIN) {
    CHECK_EQ(uj_zone_span(zone, span.begin_s).offset_s, span.offset_s);
    CHECK_EQ(uj_zone_span(zone, span.begin_s - 1).end_s, span.begin_s);
  }
  if (span.end_s != UJ_INSTANT_MAX) {
    CHECK_EQ(uj_zone_span(zone, span.end_s - 1).offset_s, span.offset_s);
    CHECK_EQ(uj_zone_span(zone, span.end_s).begin_s, span.end_s);
  }
}

/* Checks the instants of a local time, and the local time of these instants. */
static inline void fuzz_check_local(const struct uj_zone *zone, int64_t local_s)
{
  struct uj_local local = uj_zone_resolve(zone, local_s);
  CHECK(local.count <= 2);
  CHECK(local.begin_s <= local_s && local_s < local.end_s);
  for (unsigned i = 0; i < local.count; i++)
    CHECK_EQ(local.instant_s[i] +
                 uj_zone_span(zone, local.instant_s[i]).offset_s,
             local_s);
  if (local.count == 2)
    CHECK(local.instant_s[0] < local.instant_s[1]);
  if (local.count == 0) {
    int64_t end_s = local.instant_s[0];
    CHECK(end_s + uj_zone_span(zone, end_s).offset_s > local_s);
    CHECK(end_s - 1 + uj_zone_span(zone, end_s - 1).offset_s < local_s);
  }
}

/* ---- playing without libFuzzer ---------------------------------------------
 */

#ifndef FUZZ_LIBFUZZER

#define FUZZ_SIZE 65536
#define FUZZ_LIMIT_S 60 /* an input that takes longer hangs */

/* Fills in one of the program's examples; returns its size. */
static size_t fuzz_example(uint64_t *rng, uint8_t data[FUZZ_SIZE]);

/* Plays bytes in a block of just their size, so that ASan sees a read beyond
 * the end. */
static inline void fuzz_play(const uint8_t *data, size_t size)
{
  uint8_t *copy = malloc(size > 0 ? size : 1);
  if (copy == NULL)
    abort();
  memcpy(copy, data, size);
  (void)LLVMFuzzerTestOneInput(copy, size);
  free(copy);
}

static inline size_t fuzz_change(uint64_t *rng, uint8_t *data, size_t size)
{
  for (uint64_t n = check_below(rng, 6); n > 0 && size > 0; n--) {
    size_t at = (size_t)check_below(rng, size);
    switch (check_below(rng, 5)) {
    case 0:
      size = at;
      break;
    case 1:
      memmove(data + at, data + at + 1, --size - at);
      break;
    case 2:
      if (size == FUZZ_SIZE)
        break;
      memmove(data + at + 1, data + at, size++ - at);
      break;
    default:
      data[at] = (uint8_t)check_random(rng);
    }
  }
  return size;
}

static inline void fuzz_play_seed(uint64_t seed)
{
  static uint8_t data[FUZZ_SIZE];
  uint64_t rng = seed;
  size_t size = fuzz_example(&rng, data);
  fuzz_play(data, fuzz_change(&rng, data, size));
}

static inline void fuzz_play_until(time_t end, uint64_t seed)
{
  uint64_t first = seed;
  for (; time(NULL) < end; seed++) {
    check_seed(seed);
    alarm(FUZZ_LIMIT_S);
    fuzz_play_seed(seed);
  }
  alarm(0);
  printf("%" PRIu64 " inputs\n", seed - first);
}

/* Plays an example in a process of its own, so that its seed is known however
 * it fails. */
static inline int fuzz_play_for(uint64_t seconds, uint64_t first)
{
  int status;
  pid_t pid;
  check_note = tmpfile();
  if (check_note == NULL)
    abort();
  printf("%" PRIu64 " s, first seed %" PRIu64 "\n", seconds, first);
  pid = check_fork();
  if (pid == 0) {
    fuzz_play_until(time(NULL) + (time_t)seconds, first);
    fflush(stdout);
    exit(0);
  }
  status = check_join(pid);
  if (status != 0) {
    check_print_seed();
    printf("FAILED; again: with 1 SEED as arguments\n");
  }
  fclose(check_note);
  return status != 0;
}

static inline int fuzz_play_file(const char *name)
{
  static uint8_t data[FUZZ_SIZE];
  size_t size;
  FILE *file = fopen(name, "rb");
  if (file == NULL) {
    perror(name);
    return 2;
  }
  size = fread(data, 1, sizeof data, file);
  fclose(file);
  fuzz_play(data, size);
  return 0;
}

int main(int argc, char **argv)
{
  uint64_t seconds = 60, first = (uint64_t)time(NULL) * 1000000;
  int status = 0;
  if (argc > 1 && argv[1][strspn(argv[1], "0123456789")] != '\0') {
    for (int i = 1; i < argc && status == 0; i++)
      status = fuzz_play_file(argv[i]);
    return status;
  }
  if (argc > 1)
    seconds = strtoull(argv[1], NULL, 10);
  if (argc > 2)
    first = strtoull(argv[2], NULL, 10);
  return fuzz_play_for(seconds, first);
}

#endif
#endif
