/* Copies values to another Lua state. One state packs them into bytes, and the
 * other, in another thread maybe, unpacks those: so no pointer crosses from one
 * to the other.
 *
 * nil, booleans, numbers, strings, and tables of these can be copied; tables
 * lose their metatables. Several references to one table in the same buffer
 * become references to one table again. Channels and blobs are not copied: the
 * bytes carry a reference to what the other state is to share. */
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
  size_t carried; /* the references in it: see uj_carried_drop() */
};

void uj_buffer_free(struct uj_buffer *buffer);
/* Makes it empty, but keeps its memory. */
void uj_buffer_clear(struct uj_buffer *buffer);

/* So many tables of a buffer are found without a table of Lua's. */
enum { UJ_PACK_FEW = 16 };

struct uj_packer {
  struct uj_buffer *buffer;
  size_t limit;     /* the buffer gets at most so many bytes */
  bool never_carry; /* channels and blobs are refused, too */
  int seen; /* index of a table: where each further table is in the buffer */
  int ntables;
  struct {
    const void *table;
    size_t at; /* the place of its tag in the buffer */
  } few[UJ_PACK_FEW];
};

/* [-0, +1, m] Pushes a value that must stay on the stack while packing. The
 * caller can then set a limit, or `never_carry`. */
void uj_pack_begin(lua_State *L, struct uj_packer *self,
                   struct uj_buffer *buffer);
/* [-0, +0|n, m] Appends the value at idx. Returns true; or false when it cannot
 * be copied, with a message on the top: what was expected, what came, and in a
 * table where: "value.list[3].fn". */
bool uj_pack(lua_State *L, struct uj_packer *self, int idx);
/* [-0, +0, m] Appends the function on the top, which is written in Lua. */
void uj_pack_function(lua_State *L, struct uj_packer *self);

struct uj_unpacker {
  const char *data;
  const char *at;
  int made; /* index of a table: by its place, each that comes again; or nil */
};

/* [-0, +1, m] Pushes a value that must stay on the stack while unpacking. */
void uj_unpack_begin(lua_State *L, struct uj_unpacker *self,
                     const struct uj_buffer *buffer);
/* [-0, +1, e] Pushes the next value. */
void uj_unpack(lua_State *L, struct uj_unpacker *self);
/* [-0, +1, m] Pushes the next value, which is a function. Its upvalues are nil.
 */
void uj_unpack_function(lua_State *L, struct uj_unpacker *self);

#endif
