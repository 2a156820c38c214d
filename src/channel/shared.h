/* What several Lua states share: it is counted outside of them, and the last
 * one that drops it frees it. Any thread may take and drop. */
#ifndef UJ_CHANNEL_SHARED_H
#define UJ_CHANNEL_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct uj_shared;

struct uj_shared_kind {
  void (*free)(struct uj_shared *shared); /* nobody has it any more */
  void (*drop)(struct uj_shared *shared); /* in place of the drop below; or
                                             NULL */
  bool is_channel;
};

/* The first member of what is shared. */
struct uj_shared {
  const struct uj_shared_kind *kind;
  atomic_size_t refs;
};

/* It begins with one reference, that of the caller. */
void uj_shared_init(struct uj_shared *self, const struct uj_shared_kind *kind);
struct uj_shared *uj_shared_take(struct uj_shared *self);
void uj_shared_drop(struct uj_shared *self);
/* The same for who implements the `drop` of a kind. */
void uj_shared_drop_plainly(struct uj_shared *self);
/* Whether there is another reference than that of the caller. */
bool uj_shared_is_shared(const struct uj_shared *self);

/* What packed bytes carry besides: each reference stands in them as such a
 * record, at any address. The records of one buffer are a chain, which begins
 * with the last of them. */
struct uj_carried {
  struct uj_shared *shared; /* counted */
  size_t before;     /* the place of the one before, or UJ_CARRIES_NONE */
  size_t from, size; /* for a blob: which of its bytes */
};

/* The place of a record is its offset, and one more. */
enum { UJ_CARRIES_NONE = 0 };

/* Drops all references of the bytes at `data`, of which `last` is the place of
 * the last one. */
void uj_carried_drop(const char *data, size_t last);

#endif
