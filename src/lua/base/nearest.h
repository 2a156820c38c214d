/* Which of the known names was meant by a name that is not known. */
#ifndef UJ_LUA_NEAREST_H
#define UJ_LUA_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

/* The nearest of the names so far. The caller owns the names. */
struct uj_nearest {
  const char *key;  /* the name that is not known */
  const char *name; /* NULL as long as there is none */
  size_t distance;  /* from the key to it */
};

static inline struct uj_nearest uj_nearest_to(const char *key)
{
  return (struct uj_nearest){.key = key};
}

/* Takes a known name into account. Of names that are equally far the first in
 * the alphabet counts, so their order does not matter. */
void uj_nearest_try(struct uj_nearest *self, const char *name);

/* Whether the nearest name is so near that it may have been meant: three of
 * five characters are the same, or one of the two begins with the other. */
bool uj_nearest_is_near(const struct uj_nearest *self);

#endif
