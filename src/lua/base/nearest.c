#include "lua/base/nearest.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST_NAME = 40 };

static size_t min2(size_t a, size_t b)
{
  return a < b ? a : b;
}

static bool is_same(char a, char b)
{
  return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Whether the last two characters of both are the same ones, exchanged. */
static bool is_exchanged(const char *from, size_t i, const char *to, size_t j)
{
  return i > 1 && j > 1 && is_same(from[i - 1], to[j - 2]) &&
         is_same(from[i - 2], to[j - 1]);
}

/* How many characters have to be added, removed, replaced, or exchanged with
 * their neighbour to make one name of the other; a name that is very long is
 * taken for one without a character of the other. The algorithm is that of
 * Wagner and Fischer (1974), with the exchange of Lowrance and Wagner (1975) in
 * its restricted form, one row at a time. */
static size_t distance(const char *from, const char *to)
{
  size_t rows[3][LONGEST_NAME + 1], m = strlen(from), n = strlen(to);
  if (m > LONGEST_NAME || n > LONGEST_NAME)
    return m > n ? m : n;
  for (size_t j = 0; j <= n; j++)
    rows[0][j] = j;
  for (size_t i = 1; i <= m; i++) {
    size_t *row = rows[i % 3], *last = rows[(i + 2) % 3];
    row[0] = i;
    for (size_t j = 1; j <= n; j++) {
      size_t replaced = last[j - 1] + !is_same(from[i - 1], to[j - 1]);
      row[j] = min2(min2(last[j], row[j - 1]) + 1, replaced);
      if (is_exchanged(from, i, to, j))
        row[j] = min2(row[j], rows[(i + 1) % 3][j - 2] + 1);
    }
  }
  return rows[m % 3][n];
}

void uj_nearest_try(struct uj_nearest *self, const char *name)
{
  size_t far = distance(self->key, name);
  if (self->name != NULL &&
      (far > self->distance ||
       (far == self->distance && strcmp(name, self->name) > 0)))
    return;
  self->name = name;
  self->distance = far;
}

bool uj_nearest_is_near(const struct uj_nearest *self)
{
  size_t shorter, longer;
  if (self->name == NULL)
    return false;
  shorter = min2(strlen(self->key), strlen(self->name));
  longer = strlen(self->key) + strlen(self->name) - shorter;
  return 5 * self->distance <= 2 * longer ||
         (shorter > 1 && self->distance == longer - shorter &&
          strncmp(self->key, self->name, shorter) == 0);
}
