#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for dladdr() */
#endif
#include "lua/base/allocator.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lua/base/inside.h"
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

/* The heap reserves a range of addresses, not of memory: the largest has room
 * for some ten million sleeping jobs. Addresses must not become scarce by that:
 * where four times as much could not be reserved, a quarter is tried, and so
 * on. */
#define RANGE_MOST ((uint64_t)1 << 34)
#define RANGE_LEAST ((uint64_t)1 << 28)

/* What serves a Lua state. It is freed with the state. */
struct allocator {
  struct uj_heap heap;
  lua_Alloc before;      /* the allocator that the state had */
  void *before_context;  /* its first argument */
  const lua_State *main; /* it is in the block that the state frees last */
};

/* The heap calls this for blocks that it does not hold itself; the state's own
 * is one of them. */
static void *outside_heap(void *context, void *block, size_t old_size,
                          size_t new_size)
{
  struct allocator *self = context;
  lua_Alloc before = self->before;
  void *before_context = self->before_context;
  void *result = before(before_context, block, old_size, new_size);
  if (new_size == 0 && block != NULL &&
      uj_inside_is_state(block, old_size, self->main)) {
    uj_heap_term(&self->heap);
    before(before_context, self, sizeof(*self), 0);
  }
  return result;
}

static bool is_switched_off(void)
{
  const char *value = getenv("UVJOBS_HEAP");
  return value != NULL && strcmp(value, "0") == 0;
}

/* Whether the state has the allocator of luaL_newstate(), which has no name: a
 * new state shows what it is. */
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

/* A Lua state that closes unloads its C modules and frees blocks after that, so
 * the functions here must stay in the process. */
static bool stay_loaded(void)
{
  static const char here;
  Dl_info info;
  return dladdr(&here, &info) != 0 &&
         dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) !=
             NULL;
}

/* The main coroutine; NULL if something else is in its place. */
static const lua_State *main_of(lua_State *L)
{
  const lua_State *main;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
}

static bool init_heap(struct allocator *self)
{
  for (uint64_t size = RANGE_MOST; size >= RANGE_LEAST; size /= 4)
    if (uj_pages_can_reserve((size_t)size * 4))
      return uj_heap_init(&self->heap, (size_t)size, outside_heap, self);
  return false;
}

const struct uj_heap *uj_allocator_install(lua_State *L)
{
  struct allocator *self;
  const lua_State *main = main_of(L);
  void *context;
  lua_Alloc before = lua_getallocf(L, &context);
  if (before == uj_heap_realloc) /* by a load of the module that failed later */
    return context;
  if (!CAN_SEE_BLOCKS || sizeof(size_t) < sizeof(uint64_t) || main == NULL ||
      is_switched_off() || !has_common_allocator(L) || !stay_loaded())
    return NULL;
  self = before(context, NULL, 0, sizeof(*self));
  if (self == NULL)
    return NULL;
  self->before = before;
  self->before_context = context;
  self->main = main;
  if (!init_heap(self)) {
    before(context, self, sizeof(*self), 0);
    return NULL;
  }
  lua_setallocf(L, uj_heap_realloc, &self->heap);
  return &self->heap;
}
