/* Userdata for what several Lua states share: channels and blobs. copy.h sends
 * them to other states, where lua/channel/ makes userdata for them again. */
#ifndef UJ_LUA_SHARE_H
#define UJ_LUA_SHARE_H

#include <lua.h>

#include "channel/shared.h"
#include "lua/base/object.h"

#define UJ_CHANNEL_TYPE "uvjobs.Channel"
#define UJ_BLOB_TYPE "uvjobs.Blob"

extern const char uj_channel_tag[];
extern const char uj_blob_tag[];

/* How such a userdata begins. */
struct uj_share {
  struct uj_counted_object object;
  struct uj_shared *shared; /* counted; NULL when it was finalized */
  size_t from, size;        /* of a blob: which of the bytes it shows */
};

/* The userdata at idx, if it is one and was not finalized; or NULL. */
const struct uj_share *uj_share_to(lua_State *L, int idx);

/* [-0, +1, e] Pushes a userdata for what was carried here, with a reference of
 * its own. Loads uvjobs in a state that has not. */
void uj_share_push(lua_State *L, const struct uj_carried *carried);

/* [-1, +0, m] The function on the top makes such userdata in this Lua state. It
 * is called with a light userdata of the carried. */
void uj_share_set_maker(lua_State *L);

#endif
