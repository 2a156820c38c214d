/* Messages of channels. */
#ifndef UJ_CHANNEL_PARCEL_H
#define UJ_CHANNEL_PARCEL_H

#include <stddef.h>

#include "core/link.h"

/* A message: bytes that the channel does not look at, but for the references
 * in them. It is memory of malloc(), and belongs to whoever has it. */
struct uj_parcel {
  struct uj_link link; /* of the stored messages of a channel */
  size_t size;
  size_t carried; /* see uj_carried_drop() */
  char data[];
};

/* Copies the bytes; the references in them go over. NULL without memory. */
struct uj_parcel *uj_parcel_new(const char *data, size_t size, size_t carried);
void uj_parcel_free(struct uj_parcel *self); /* may be NULL */

/* Frees those of a list of uj_parcel::link. */
void uj_parcel_free_all(struct uj_link *list);

#endif
