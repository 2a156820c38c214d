/* A Lua state whose memory is limited, for a thread that serves. A job that
 * would pass the limit fails for lack of memory, after Lua has collected all
 * garbage; what runs between the jobs has a reserve besides. */
#ifndef UJ_LUA_SERVICE_LIMIT_H
#define UJ_LUA_SERVICE_LIMIT_H

#include <lua.h>
#include <stddef.h>

struct uj_state;

struct uj_memory_limit {
  size_t limit; /* in bytes; 0 for none */
  size_t used;
  const struct uj_state *S; /* borrowed: of uvjobs in that state, or NULL */
};

/* Makes a state, which keeps a pointer to `limit`. Returns NULL without memory.
 */
lua_State *uj_memory_limit_new_state(struct uj_memory_limit *self);

#endif
