/* Among many jobs nothing of the next one is in a cache: the job, its
 * coroutine, and what that points to are misses that follow one from the
 * other, and take longer than all that is done for the job. So while one runs,
 * the memory of those behind it is asked for.
 *
 * These are hints. They read a job that is ready and the first words of its
 * coroutine, both of which are there as long as it is; where they guess wrong
 * what those are, they do nothing. */
#ifndef UJ_LUA_AHEAD_H
#define UJ_LUA_AHEAD_H

#include <lua.h>
#include <stdint.h>
#include <string.h>

#include "core/link.h"
#include "lua/state/job.h"

#ifdef __GNUC__
#define UJ_PREFETCH(address) __builtin_prefetch(address)
#else
#define UJ_PREFETCH(address) ((void)(address))
#endif

enum {
  UJ_AHEAD_MANY =
      2048, /* coroutines that a cache near the processor can hold */
  UJ_CACHE_LINE = 64,
  UJ_CO_SIZE = 200,  /* of a lua_State, about */
  UJ_CO_POINTERS = 7 /* words at its beginning of which some point to its stack
                        and to what it calls: in Lua 5.4 the third, fifth and
                        seventh do */
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
    uj_ahead_of_range(job->co, UJ_CO_SIZE);
}

/* What the coroutine of a job points to. */
static inline void uj_ahead_of_stack(const struct uj_ljob *job)
{
  const void *words[UJ_CO_POINTERS];
  if (job->co == NULL)
    return;
  memcpy(words, job->co, sizeof(words));
  for (int i = 2; i < UJ_CO_POINTERS; i += 2)
    UJ_PREFETCH(words[i]);
}

/* A job runs: of those behind it in this list of uj_job::queue, looks for what
 * the coroutine of one points to, the coroutine of one further on, and the job
 * that is the furthest. Each distance is long enough for the memory to come. */
enum { UJ_AHEAD_STACK = 2, UJ_AHEAD_CO = 4, UJ_AHEAD_JOB = 6 };

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
