/* Sources in Lua that run whole: a job is not interrupted between two
 * instructions of them. Those of the library come first: so nothing is lost
 * between taking a permit, say, and making it a to-be-closed variable. A
 * program adds those of libraries that jobs share, because another job must not
 * find a connection, say, in the middle of a frame. */
#ifndef UJ_LUA_ENGINE_OWN_H
#define UJ_LUA_ENGINE_OWN_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lua/state/state.h"

/* How long a source that the program has added may hold off an interruption
 * that is due. One that loops for ever would hold it off for ever. */
#define UJ_OWN_MOST_NS UINT64_C(1000000000)

struct uj_own_source {
  const char *text; /* kept by a table of ours; NULL in a free place */
  uint32_t hash;
  bool ours; /* one of the library's, and not one that was added */
};

struct uj_own {
  /* A hash table with open addresses; never more than half full. */
  struct uj_own_source *sources; /* a userdata that the same table keeps */
  size_t size;                   /* a power of two, or 0 */
  size_t count;

  /* When an interruption was first held off that has not come yet; 0 when none
   * is. Only for the sources that were added. */
  uint64_t held_since_ns;
  uint64_t held_tick; /* the stretch of held_since_ns */
};

/* Whether this is one of the library's. */
bool uj_own_has(const struct uj_state *S, const char *source);

/* [-0, +0, -] Whether an interruption that is due at `now_ns` has to wait for
 * the function that `ar` is about. */
bool uj_own_holds(struct uj_state *S, lua_State *L, lua_Debug *ar,
                  uint64_t now_ns);

/* own_source(): adds the source of the calling function, as one of the
 * library's. whole_source(text): adds a source that the program names. */
extern const luaL_Reg uj_own_internals[];

#endif
