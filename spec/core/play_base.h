/* What the operations of play.h and play_things.h have in common.
 *
 * Every choice is made by the bytes of a source: those of a generator, or those
 * that a fuzzer or a file gives. When these are used up every choice is the
 * first one, with which jobs end. */
#ifndef SPEC_CORE_PLAY_BASE_H
#define SPEC_CORE_PLAY_BASE_H

#include "check.h"

#include <stdarg.h>

#include "compare.h"

static struct {
  const uint8_t *next, *end; /* the source, unless it is the generator */
  uint64_t rng;
  bool generated;
  bool ending;  /* the loop is closed for good */
  bool loud;    /* every operation is printed */
  int running;  /* the job that runs, or NOBODY */
  uint64_t ops; /* since the program began */
} play;

/* --- choices --- */

static inline uint64_t play_byte(void)
{
  if (play.generated)
    return check_random(&play.rng) & 0xff;
  return play.next < play.end ? *play.next++ : 0;
}

static inline bool play_used_up(void)
{
  return !play.generated && play.next == play.end;
}

/* Returns a number below `bound`, which is 256 at most. */
static inline int below(int bound)
{
  return (int)(play_byte() % (unsigned)bound);
}

static inline bool one_in(int n)
{
  return below(n) == 0;
}

/* A number of random size, of 56 bits at most. */
static inline uint64_t random_scaled(void)
{
  int bits = below(57);
  uint64_t number = 0;
  for (int i = 0; i < bits; i += 8)
    number = number << 8 | play_byte();
  return number & ((UINT64_C(1) << bits) - 1);
}

/* A short span, so that many limits fall together; sometimes none, or any. */
static inline uint64_t random_span(void)
{
  if (one_in(12))
    return one_in(2) ? UJ_NEVER : random_scaled();
  return (uint64_t)below(8);
}

static inline uint64_t random_due(void)
{
  return uj_clock_add(m.now_ns, random_span());
}

/* A live job that was admitted, or NOBODY. */
static inline int any_job(void)
{
  int first = below(JOBS);
  for (int i = 0; i < JOBS; i++) {
    int j = (first + i) % JOBS;
    if (m.job[j].used && m.job[j].state != UJ_JOB_NEW)
      return j;
  }
  return NOBODY;
}

/* --- what is printed --- */

/* One line for each operation: the time, who runs, and what it does. */
#if defined __GNUC__
__attribute__((format(printf, 1, 2)))
#endif
static inline void
say(const char *format, ...)
{
  va_list args;
  if (!play.loud)
    return;
  printf("%20" PRIu64 " ", m.now_ns);
  if (play.running == NOBODY)
    printf("outside: ");
  else
    printf("job %d: ", play.running);
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  printf("\n");
  fflush(stdout);
}

static inline struct uj_job *core_of(int j)
{
  return j == NOBODY ? NULL : &job[j]->core;
}

/* --- waits --- */

/* Parks the running job. */
static inline void park(struct list *in, struct uj_waitq *waitq, unsigned op)
{
  uint64_t due_ns = one_in(2) ? UJ_NEVER : random_due();
  say("waits until %" PRIu64, due_ns);
  model_park(play.running, in, due_ns);
  uj_job_park(core_of(play.running), waitq, due_ns, op);
}

#endif
