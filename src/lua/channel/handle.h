/* The userdata of channels and blobs. A channel has one in each Lua state, so
 * that two references to it are equal; a blob can have several, which show
 * different bytes of it. */
#ifndef UJ_LUA_CHANNEL_HANDLE_H
#define UJ_LUA_CHANNEL_HANDLE_H

#include <lua.h>
#include <stddef.h>

#include "channel/channel.h"

/* [-0, +1, m] Push a userdata; the caller's reference becomes that of the
 * userdata, also when this raises. */
void uj_handle_push_channel(lua_State *L, struct uj_channel *channel);
void uj_handle_push_blob(lua_State *L, struct uj_shared *blob, size_t from,
                         size_t size);

/* [-0, +0, m] So many bytes are about to be kept that Lua does not see. */
void uj_handle_press(lua_State *L, size_t size);

/* [-0, +0, m] Makes known how userdata are made of what has come from other
 * states. The state is on the top. */
void uj_handle_register(lua_State *L);

/* The __gc of both. */
int uj_handle_gc(lua_State *L);

#endif
