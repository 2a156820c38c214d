#include "channel/blob.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct uj_blob *uj_blob_of(struct uj_shared *shared)
{
  return (struct uj_blob *)shared; /* its first member */
}

static void free_blob(struct uj_shared *shared)
{
  free(uj_blob_of(shared));
}

struct uj_blob *uj_blob_new(const char *bytes, size_t size)
{
  static const struct uj_shared_kind kind = {free_blob, NULL, false};
  struct uj_blob *self = NULL;
  if (size <= SIZE_MAX - sizeof(*self))
    self = malloc(sizeof(*self) + size);
  if (self == NULL)
    return NULL;
  uj_shared_init(&self->shared, &kind);
  self->size = size;
  memcpy(self->bytes, bytes, size);
  return self;
}
