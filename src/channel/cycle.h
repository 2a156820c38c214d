/* Channels that are in messages of each other.
 *
 * Counting alone would never free a channel that is in a message in itself. So
 * when a reference is dropped, and nobody has a handle of the channel, it is
 * looked for all channels without a handle that can be reached from it by
 * messages. Those to which all references stand in messages of such channels
 * are garbage: nobody can ever get one of the messages. */
#ifndef UJ_CHANNEL_CYCLE_H
#define UJ_CHANNEL_CYCLE_H

#include <stdbool.h>

struct uj_channel;

/* Drops a reference; of a handle, if it is one. The lock of no channel is held.
 */
void uj_cycle_drop(struct uj_channel *channel, bool is_handle);

#endif
