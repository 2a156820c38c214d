#include "channel/parcel.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "channel/shared.h"

struct uj_parcel *uj_parcel_new(const char *data, size_t size, size_t carried)
{
  struct uj_parcel *self = malloc(sizeof(*self) + size);
  if (self == NULL)
    return NULL;
  uj_link_init(&self->link);
  self->size = size;
  self->carried = carried;
  memcpy(self->data, data, size);
  return self;
}

/* To free a message can free a channel with more messages, and so on: they wait
 * here until the first one is free, or a long chain of channels would need as
 * deep a stack. */
static _Thread_local struct {
  bool busy;
  struct uj_link waiting; /* of uj_parcel::link */
} freeing;

static void free_one(struct uj_parcel *self)
{
  uj_carried_drop(self->data, self->carried);
  free(self);
}

void uj_parcel_free_all(struct uj_link *list)
{
  if (freeing.busy) {
    uj_link_splice(&freeing.waiting, list);
    return;
  }
  freeing.busy = true;
  uj_link_init(&freeing.waiting);
  uj_link_splice(&freeing.waiting, list);
  while (!uj_link_empty(&freeing.waiting)) {
    struct uj_link *link = freeing.waiting.next;
    uj_link_remove(link);
    free_one(uj_container(link, struct uj_parcel, link));
  }
  freeing.busy = false;
}

void uj_parcel_free(struct uj_parcel *self)
{
  struct uj_link list;
  if (self == NULL)
    return;
  if (self->carried == UJ_CARRIES_NONE) {
    free(self);
    return;
  }
  uj_link_init(&list);
  uj_link_append(&list, &self->link);
  uj_parcel_free_all(&list);
}
