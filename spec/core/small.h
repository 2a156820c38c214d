/* What tests of a small scheduler share: the spawners run in f.sched, and what
 * they spawn in `small`. */
#ifndef UJ_SPEC_SMALL_H
#define UJ_SPEC_SMALL_H

#include "fake_host.h"

static struct fake f;
static struct uj_sched small;

static void init(uint64_t limit, uint64_t pending_limit)
{
  fake_init(&f);
  fake_sched_init(&f, &small, limit, pending_limit);
}

static void term(void)
{
  fake_term(&f);
  uj_sched_term(&small);
}

/* A job of the small scheduler that ends when it is woken. */
static struct fake_job *occupy(const char *name)
{
  const struct act acts[FAKE_ACTS] = {PARK(NULL)};
  return fake_spawn(&f, fake_job_new(&f, &small, name, acts));
}

#endif
