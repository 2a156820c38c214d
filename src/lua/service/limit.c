#include "lua/service/limit.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lua/state/state.h"

/* What may be used besides, so that jobs can be told of, and new ones begun. */
enum { RESERVE = 512 * 1024 };

/* The main job serves, so it counts as what runs between the jobs. */
static bool in_job(const struct uj_state *S)
{
  return S != NULL && S->current != NULL && S->current != S->main;
}

static size_t bound(const struct uj_memory_limit *self)
{
  return in_job(self->S) ? self->limit : self->limit + RESERVE;
}

/* When it refuses, Lua collects all garbage and tries once more. */
static void *allocate(void *context, void *block, size_t old_size,
                      size_t new_size)
{
  struct uj_memory_limit *self = context;
  void *result;
  if (block == NULL) /* then it says what the block is for */
    old_size = 0;
  if (new_size == 0) {
    free(block);
    self->used -= old_size;
    return NULL;
  }
  if (new_size > old_size && (self->used > bound(self) ||
                              new_size - old_size > bound(self) - self->used))
    return NULL;
  result = realloc(block, new_size);
  if (result != NULL)
    self->used = self->used - old_size + new_size;
  return result;
}

lua_State *uj_memory_limit_new_state(struct uj_memory_limit *self)
{
  if (self->limit == 0)
    return luaL_newstate();
#if LUA_VERSION_NUM >= 505
  return lua_newstate(allocate, self, luaL_makeseed(NULL));
#else
  return lua_newstate(allocate, self);
#endif
}
