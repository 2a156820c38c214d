/* Asks for the memory of the jobs that run next, while one runs. Among many
 * jobs nothing of the next one is in a cache: the job, its coroutine, and what
 * that points to are three misses, each of which has to wait for the one before
 * it, and together they take longer than all that is done for the job.
 *
 * These are hints. They read only jobs that are ready and the first words of
 * their coroutines, both of which live as long as the job does. Where a word is
 * not the address that it is taken for, the processor ignores it. */
#ifndef UJ_LUA_ENGINE_AHEAD_H
#define UJ_LUA_ENGINE_AHEAD_H

#include <stddef.h>

#include "core/link.h"
#include "lua/base/inside.h"
#include "lua/state/job.h"

#ifdef __GNUC__
#define UJ_PREFETCH(address) __builtin_prefetch(address)
#else
#define UJ_PREFETCH(address) ((void)(address))
#endif

enum {
  UJ_AHEAD_MANY = 2048, /* with fewer coroutines a near cache holds them all */
  UJ_CACHE_LINE = 64
};

static inline void uj_ahead_of_range(const void *begin, size_t size)
{
  for (size_t at = 0; at < size; at += UJ_CACHE_LINE)
    UJ_PREFETCH((const char *)begin + at);
}

static inline const struct uj_ljob *uj_ahead_job(struct uj_link *link)
{
  return uj_ljob_of(uj_container(link, struct uj_job, queue));
}

static inline void uj_ahead_of_co(const struct uj_ljob *job)
{
  if (job->co != NULL)
    uj_ahead_of_range(job->co, UJ_INSIDE_CO_SIZE);
}

/* What the coroutine of a job points to. */
static inline void uj_ahead_of_stack(const struct uj_ljob *job)
{
  const void *words[UJ_INSIDE_CO_WORDS];
  if (job->co == NULL)
    return;
  uj_inside_read_words(job->co, words);
  UJ_PREFETCH(words[UJ_INSIDE_CO_TOP]);
  UJ_PREFETCH(words[UJ_INSIDE_CO_CALL]);
  UJ_PREFETCH(words[UJ_INSIDE_CO_STACK]);
}

/* How far ahead of the running job each step is taken, so that the memory of
 * one step is there when the next one needs it. */
enum { UJ_AHEAD_STACK = 2, UJ_AHEAD_CO = 4, UJ_AHEAD_JOB = 6 };

/* A job runs that was taken from this list of uj_job::queue. */
static inline void uj_ahead_of(const struct uj_link *batch)
{
  struct uj_link *link = batch->next;
  for (int i = 1; link != batch; link = link->next, i++) {
    if (i == UJ_AHEAD_STACK)
      uj_ahead_of_stack(uj_ahead_job(link));
    else if (i == UJ_AHEAD_CO)
      uj_ahead_of_co(uj_ahead_job(link));
    else if (i == UJ_AHEAD_JOB) {
      uj_ahead_of_range(uj_ahead_job(link), sizeof(struct uj_ljob));
      return;
    }
  }
}

#endif
