#include "memory/pages.h"

#include <stdint.h>

#if defined(__unix__) || defined(__APPLE__)
#define HAVE_MMAP 1
#include <sys/mman.h>
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif
#else
#define HAVE_MMAP 0
#endif

void *uj_pages_reserve(size_t size, size_t align)
{
#if HAVE_MMAP
  size_t room = size + align, before;
  char *begin;
  if (room < size)
    return NULL;
  begin = mmap(NULL, room, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (begin == MAP_FAILED)
    return NULL;
  before = (size_t)(-(uintptr_t)begin & (align - 1));
  if (before > 0)
    (void)munmap(begin, before);
  if (align > before)
    (void)munmap(begin + before + size, align - before);
  return begin + before;
#else
  (void)size;
  (void)align;
  return NULL;
#endif
}

void uj_pages_release(void *begin, size_t size)
{
#if HAVE_MMAP
  (void)munmap(begin, size);
#else
  (void)begin;
  (void)size;
#endif
}

bool uj_pages_can_reserve(size_t size)
{
  void *begin = uj_pages_reserve(size, 1);
  if (begin == NULL)
    return false;
  uj_pages_release(begin, size);
  return true;
}

bool uj_pages_commit(void *begin, size_t size, bool large)
{
#if HAVE_MMAP
#ifdef MADV_HUGEPAGE
  if (large)
    (void)madvise(begin, size, MADV_HUGEPAGE);
#else
  (void)large;
#endif
  return mprotect(begin, size, PROT_READ | PROT_WRITE) == 0;
#else
  (void)begin;
  (void)size;
  (void)large;
  return false;
#endif
}

bool uj_pages_discard(void *begin, size_t size)
{
#if HAVE_MMAP
  return madvise(begin, size, MADV_DONTNEED) == 0;
#else
  (void)begin;
  (void)size;
  return false;
#endif
}
