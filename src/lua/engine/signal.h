/* Signals that end a run: the main job is cancelled for them. */
#ifndef UJ_LUA_ENGINE_SIGNAL_H
#define UJ_LUA_ENGINE_SIGNAL_H

#include "lua/state/state.h"

/* Cancels the main job when a signal has been seen, in a poll of the driver. */
void uj_signal_take(struct uj_state *S);

/* Polls for a signal first: for a job that does not let the loop do it. */
void uj_signal_poll(struct uj_state *S);

#endif
