#include "lua/base/nearest.h"

#include <string.h>

enum { LONGEST_NAME = 32 };

static size_t min3(size_t a, size_t b, size_t c)
{
  size_t least = a < b ? a : b;
  return least < c ? least : c;
}

/* The Levenshtein distance, by the algorithm of Wagner and Fischer (1974), one
 * row at a time. */
size_t uj_nearest_distance(const char *from, const char *to)
{
  size_t row[LONGEST_NAME + 1], n = strlen(to);
  if (strlen(from) > LONGEST_NAME || n > LONGEST_NAME)
    return LONGEST_NAME;
  for (size_t j = 0; j <= n; j++)
    row[j] = j;
  for (size_t i = 1; from[i - 1] != '\0'; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= n; j++) {
      size_t above = row[j];
      row[j] = min3(above + 1, row[j - 1] + 1,
                    diagonal + (from[i - 1] != to[j - 1]));
      diagonal = above;
    }
  }
  return row[n];
}
