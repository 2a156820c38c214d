/* UTF-8 as RFC 3629 has it: no surrogates, no longer forms than needed, nothing
 * above U+10FFFF. */
#ifndef UJ_LUA_UTF8_H
#define UJ_LUA_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The number of bytes of the character at `at`, of which there are `size`; or 0
 * when it is none. */
size_t uj_utf8_length(const unsigned char *at, size_t size);

/* Writes the character to `into`, which has room for 4 bytes; returns how many
 * it takes, or 0 for a surrogate. */
size_t uj_utf8_write(unsigned char *into, unsigned long character);

#endif
