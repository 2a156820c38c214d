/* Gives a Lua state the heap of memory/heap.h as its allocator. */
#ifndef UJ_LUA_ALLOCATOR_H
#define UJ_LUA_ALLOCATOR_H

#include <lua.h>

struct uj_heap;

/* [-0, +0, -] Makes the heap the allocator of the state, and returns the heap,
 * which lives as long as the state. Blocks that were allocated before stay
 * where they are.
 *
 * Returns NULL and changes nothing if the state has another allocator than that
 * of luaL_newstate(), because the program's own may count or limit memory; if
 * the environment variable UVJOBS_HEAP is 0; and under AddressSanitizer, which
 * could not see the blocks. */
const struct uj_heap *uj_allocator_install(lua_State *L);

#endif
