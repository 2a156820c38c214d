#include "lua/encode/utf8.h"

enum { LEAST_2 = 0x80, LEAST_3 = 0x800, LEAST_4 = 0x10000, MOST = 0x10FFFF };
enum { SURROGATE_FIRST = 0xD800, SURROGATE_LAST = 0xDFFF };

static bool is_surrogate(unsigned long character)
{
  return character >= SURROGATE_FIRST && character <= SURROGATE_LAST;
}

/* Reads the n - 1 bytes that follow the first one. */
static size_t check(const unsigned char *at, size_t size, size_t n,
                    unsigned long first, unsigned long least)
{
  unsigned long character = first;
  if (size < n)
    return 0;
  for (size_t i = 1; i < n; i++) {
    if ((at[i] & 0xC0) != 0x80)
      return 0;
    character = character << 6 | (at[i] & 0x3FU);
  }
  return character < least || character > MOST || is_surrogate(character) ? 0
                                                                          : n;
}

size_t uj_utf8_length(const unsigned char *at, size_t size)
{
  if (size == 0)
    return 0;
  if (at[0] < 0x80)
    return 1;
  if (at[0] < 0xC0)
    return 0;
  if (at[0] < 0xE0)
    return check(at, size, 2, at[0] & 0x1FU, LEAST_2);
  if (at[0] < 0xF0)
    return check(at, size, 3, at[0] & 0x0FU, LEAST_3);
  return at[0] < 0xF8 ? check(at, size, 4, at[0] & 0x07U, LEAST_4) : 0;
}

size_t uj_utf8_write(unsigned char *into, unsigned long character)
{
  static const unsigned char firsts[] = {0, 0, 0xC0, 0xE0, 0xF0};
  size_t n = character < LEAST_2   ? 1
             : character < LEAST_3 ? 2
             : character < LEAST_4 ? 3
                                   : 4;
  if (is_surrogate(character))
    return 0;
  for (size_t i = n - 1; i > 0; i--) {
    into[i] = (unsigned char)(0x80U | (character & 0x3FU));
    character >>= 6;
  }
  into[0] = (unsigned char)(firsts[n] | character);
  return n;
}
