#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for dladdr() */
#endif
#include "lua/base/allocator.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "memory/heap.h"
#include "memory/pages.h"

#ifdef __has_feature
#define HAS_FEATURE(feature) __has_feature(feature)
#else
#define HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define CAN_SEE_BLOCKS 0
#else
#define CAN_SEE_BLOCKS 1
#endif

/* Address space, not memory: room for some ten million sleeping jobs. It must
 * not be scarce: where four times as much cannot be had, a quarter is asked
 * for, and so on. */
#define RANGE_MOST ((uint64_t)1 << 34)
#define RANGE_LEAST ((uint64_t)1 << 28)

struct memory {
  struct uj_heap heap;
  lua_Alloc before; /* what the state had */
  void *context;    /* of that */
  void *last;       /* what the state frees last when it closes: itself */
};

static void *below(void *context, void *block, size_t old_size, size_t new_size)
{
  struct memory *memory = context;
  lua_Alloc before = memory->before;
  void *before_context = memory->context;
  void *result = before(before_context, block, old_size, new_size);
  if (block == memory->last && new_size == 0) {
    uj_heap_term(&memory->heap);
    before(before_context, memory, sizeof(*memory), 0);
  }
  return result;
}

static bool is_switched_off(void)
{
  const char *value = getenv("UVJOBS_HEAP");
  return value != NULL && strcmp(value, "0") == 0;
}

/* A state of its own tells what the common allocator is. */
static bool has_common_allocator(lua_State *L)
{
  void *context, *common_context;
  lua_Alloc alloc = lua_getallocf(L, &context), common;
  lua_State *other;
  if (context != NULL)
    return false;
  other = luaL_newstate();
  if (other == NULL)
    return false;
  common = lua_getallocf(other, &common_context);
  lua_close(other);
  return alloc == common && common_context == NULL;
}

/* When a Lua state closes it unloads its C modules, and frees blocks after
 * that: the functions here must stay. */
static bool stay_loaded(void)
{
  static const char here;
  Dl_info info;
  return dladdr(&here, &info) != 0 &&
         dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) !=
             NULL;
}

/* The state's own; NULL if its main coroutine is not where it should be. */
static void *first_block(lua_State *L)
{
  lua_State *main;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main != NULL ? lua_getextraspace(main) : NULL;
}

static bool init_heap(struct memory *memory)
{
  for (uint64_t size = RANGE_MOST; size >= RANGE_LEAST; size /= 4)
    if (uj_pages_can_reserve((size_t)size * 4))
      return uj_heap_init(&memory->heap, (size_t)size, below, memory);
  return false;
}

const struct uj_heap *uj_allocator_install(lua_State *L)
{
  struct memory *memory;
  void *context, *last = first_block(L);
  lua_Alloc before = lua_getallocf(L, &context);
  if (before == uj_heap_realloc) /* loading has failed after this, before */
    return context;
  if (!CAN_SEE_BLOCKS || sizeof(size_t) < sizeof(uint64_t) || last == NULL ||
      is_switched_off() || !has_common_allocator(L) || !stay_loaded())
    return NULL;
  memory = before(context, NULL, 0, sizeof(*memory));
  if (memory == NULL)
    return NULL;
  memory->before = before;
  memory->context = context;
  memory->last = last;
  if (!init_heap(memory)) {
    before(context, memory, sizeof(*memory), 0);
    return NULL;
  }
  lua_setallocf(L, uj_heap_realloc, &memory->heap);
  return &memory->heap;
}
