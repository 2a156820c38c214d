/* The system's pages: address space is reserved first, and memory is put behind
 * parts of it as it is needed, in large pages where the system has them. */
#ifndef UJ_MEMORY_PAGES_H
#define UJ_MEMORY_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* Reserves `size` bytes of address space, without memory. They begin at a
 * multiple of `align`, which is a power of two; `size` is a multiple of it.
 * Returns NULL if there is not so much. */
void *uj_pages_reserve(size_t size, size_t align);
void uj_pages_release(void *begin, size_t size);
/* Whether `size` bytes could be reserved now. */
bool uj_pages_can_reserve(size_t size);

/* Puts zeroed memory behind a part of what was reserved. `large` asks for large
 * pages: one page fault for 2 MiB is much cheaper than 512, but all 2 MiB are
 * taken at once. Returns whether there was memory. */
bool uj_pages_commit(void *begin, size_t size, bool large);

/* Gives memory back but keeps the addresses: writing there again gets new
 * memory. Returns whether the system took it, which it does not if the memory
 * is locked. */
bool uj_pages_discard(void *begin, size_t size);

#endif
