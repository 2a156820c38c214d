/* Copies values to another Lua state. One state packs them into bytes, and the
 * other, in another thread maybe, unpacks those: so no pointer crosses from one
 * to the other.
 *
 * nil, booleans, numbers, strings, and tables of these can be copied; tables
 * lose their metatables. Several references to one table in the same buffer
 * become references to one table again. */
#ifndef UJ_LUA_COPY_H
#define UJ_LUA_COPY_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of malloc(), which may outlive the Lua state. An empty buffer is all
 * zero. */
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

/* [-0, +1, m] Pushes a table that must stay on the stack while packing. */
void uj_pack_begin(lua_State *L, struct uj_packer *self,
                   struct uj_buffer *buffer);
/* [-0, +0|n, m] Appends the value at idx. Returns true; or false when it cannot
 * be copied, with a message on the top: what was expected, and what came. */
bool uj_pack(lua_State *L, struct uj_packer *self, int idx);
/* [-0, +0, m] Appends the function on the top, which is written in Lua. */
void uj_pack_function(lua_State *L, struct uj_packer *self);

struct uj_unpacker {
  const char *at;
  int made; /* index of a table: each table unpacked, by its number */
  lua_Integer ntables;
};

/* [-0, +1, m] Pushes a table that must stay on the stack while unpacking. */
void uj_unpack_begin(lua_State *L, struct uj_unpacker *self,
                     const struct uj_buffer *buffer);
/* [-0, +1, m] Pushes the next value. */
void uj_unpack(lua_State *L, struct uj_unpacker *self);
/* [-0, +1, m] Pushes the next value, which is a function. Its upvalues are nil.
 */
void uj_unpack_function(lua_State *L, struct uj_unpacker *self);

#endif
