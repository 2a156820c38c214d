/* Messages of channels: values of Lua, packed. */
#ifndef UJ_LUA_CHANNEL_LETTER_H
#define UJ_LUA_CHANNEL_LETTER_H

#include <lua.h>

#include "channel/channel.h"
#include "lua/base/args.h"
#include "lua/state/state.h"

/* [-0, +0, v] Packs the value at idx for the channel. What cannot be packed is
 * a bad argument of the callee. */
struct uj_parcel *uj_letter_write(struct uj_state *S, lua_State *L,
                                  const struct uj_callee *callee, int idx,
                                  size_t limit);

/* [-0, +1, m] Pushes the value of a message that was got, and frees it. When
 * there is no memory for the value, the message is put back. */
void uj_letter_read(struct uj_state *S, lua_State *L,
                    struct uj_channel *channel, struct uj_parcel *parcel);

/* Something that can raise is about to be done, before the message has an
 * owner. If it raises, the message is freed at the end of the state; otherwise
 * uj_letter_release() is called. */
void uj_letter_hold(struct uj_state *S, struct uj_parcel *parcel);
void uj_letter_release(struct uj_parcel *parcel);

#endif
