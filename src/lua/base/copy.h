/* Copies of values for another Lua state. They go by way of bytes, so no
 * pointer crosses from one state to the other: packed in the first, unpacked in
 * the second, which may be in another thread by then.
 *
 * What can be copied is nil, booleans, numbers, strings, and tables of these
 * without their metatables. What refers to one table several times in the same
 * buffer does so afterwards. */
#ifndef UJ_LUA_COPY_H
#define UJ_LUA_COPY_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of malloc(): they outlive the Lua state. All zero when it is empty. */
struct uj_buffer {
  char *data;
  size_t size;
  size_t room;
};

void uj_buffer_free(struct uj_buffer *buffer);

struct uj_packer {
  struct uj_buffer *buffer;
  int seen; /* index of a table: the number of each table packed */
  lua_Integer ntables;
};

/* [-0, +1, m] Pushes a table that has to stay as long as it is packed. */
void uj_pack_begin(lua_State *L, struct uj_packer *self,
                   struct uj_buffer *buffer);
/* [-0, +0|n, m] Appends the value at idx. Returns true; or false when it cannot
 * be copied, with a message on the top: what was expected, and what came. */
bool uj_pack(lua_State *L, struct uj_packer *self, int idx);
/* [-0, +0, m] Appends the function of Lua on the top. */
void uj_pack_function(lua_State *L, struct uj_packer *self);

struct uj_unpacker {
  const char *at;
  int made; /* index of a table: each table unpacked, by its number */
  lua_Integer ntables;
};

/* [-0, +1, m] Pushes a table that has to stay as long as it is unpacked. */
void uj_unpack_begin(lua_State *L, struct uj_unpacker *self,
                     const struct uj_buffer *buffer);
/* [-0, +1, m] Pushes the next value. */
void uj_unpack(lua_State *L, struct uj_unpacker *self);
/* [-0, +1, m] Pushes the next thing, which is a function; its upvalues are nil.
 */
void uj_unpack_function(lua_State *L, struct uj_unpacker *self);

#endif
