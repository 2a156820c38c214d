/* Gives a Lua state the heap of memory/heap.h as its allocator. */
#ifndef UJ_LUA_MEMORY_H
#define UJ_LUA_MEMORY_H

#include <lua.h>

struct uj_heap;

/* [-0, +0, -] Does so if the state has the allocator that luaL_newstate() gives
 * it: one that belongs to the program may count or limit, so it is left alone.
 * What has been allocated before stays where it is. Nothing happens where the
 * environment variable UVJOBS_HEAP is 0, and under AddressSanitizer, which
 * could not see the blocks. Returns the heap, which lives as long as the state,
 * or NULL. */
const struct uj_heap *uj_allocator_install(lua_State *L);

#endif
