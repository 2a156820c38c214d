/* Address space that memory is put behind as it is needed: the system's pages,
 * large ones where it has them. */
#ifndef UJ_MEMORY_PAGES_H
#define UJ_MEMORY_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* Reserves `size` bytes of address space at a multiple of `align`, a power of
 * two and of pages, that nothing can be read from or written to. `size` is a
 * multiple of `align`. NULL when it cannot be had. */
void *uj_pages_reserve(size_t size, size_t align);
void uj_pages_release(void *begin, size_t size);
/* Whether so much could be reserved. */
bool uj_pages_can_reserve(size_t size);

/* Puts memory behind a part of it, which is zero. `large` asks for large pages:
 * one page fault for 2 MiB is much cheaper than 512, but all of it is taken at
 * once. Returns whether there was memory. */
bool uj_pages_commit(void *begin, size_t size, bool large);

/* Gives the memory back but not the address: what is written there again gets
 * new memory. Returns whether the system took it: not if it is locked. */
bool uj_pages_discard(void *begin, size_t size);

#endif
