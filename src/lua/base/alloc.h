/* Memory from the allocator of a Lua state: it counts in the state's limits,
 * and must be given back before the state closes. */
#ifndef UJ_LUA_ALLOC_H
#define UJ_LUA_ALLOC_H

#include <lua.h>
#include <stddef.h>

/* [-0, +0, m] Like realloc(); raises a memory error when it fails. Lua's
 * allocators are told the old size of a block. */
void *uj_alloc_resize(lua_State *L, void *block, size_t old_size,
                      size_t new_size);
/* [-0, +0, -] Like free(). */
void uj_alloc_free(lua_State *L, void *block, size_t size);

#endif
