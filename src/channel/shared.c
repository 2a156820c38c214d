#include "channel/shared.h"

#include <assert.h>
#include <string.h>

void uj_shared_init(struct uj_shared *self, const struct uj_shared_kind *kind)
{
  self->kind = kind;
  atomic_init(&self->refs, 1);
}

/* Whoever takes has it already, by another reference. */
struct uj_shared *uj_shared_take(struct uj_shared *self)
{
  size_t before =
      atomic_fetch_add_explicit(&self->refs, 1, memory_order_relaxed);
  assert(before > 0);
  (void)before;
  return self;
}

void uj_shared_drop(struct uj_shared *self)
{
  if (self->kind->drop != NULL)
    self->kind->drop(self);
  else
    uj_shared_drop_plainly(self);
}

void uj_shared_drop_plainly(struct uj_shared *self)
{
  size_t before =
      atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel);
  assert(before > 0);
  if (before == 1)
    self->kind->free(self);
}

bool uj_shared_is_shared(const struct uj_shared *self)
{
  return atomic_load(&self->refs) > 1;
}

void uj_carried_drop(const char *data, size_t last)
{
  struct uj_carried carried;
  for (; last != UJ_CARRIES_NONE; last = carried.before) {
    memcpy(&carried, data + last - 1, sizeof(carried));
    uj_shared_drop(carried.shared);
  }
}
