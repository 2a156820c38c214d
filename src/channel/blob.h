/* Bytes that never change, and that several Lua states share. */
#ifndef UJ_CHANNEL_BLOB_H
#define UJ_CHANNEL_BLOB_H

#include <stddef.h>

#include "channel/shared.h"

struct uj_blob {
  struct uj_shared shared; /* first */
  size_t size;
  char bytes[];
};

/* Copies the bytes. Returns NULL without memory. */
struct uj_blob *uj_blob_new(const char *bytes, size_t size);
struct uj_blob *uj_blob_of(struct uj_shared *shared);

#endif
