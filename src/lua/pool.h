/* The coroutines that jobs run in. One that has ended its job is used again
 * for the next: that costs a fraction of making and collecting one. */
#ifndef UJ_LUA_POOL_H
#define UJ_LUA_POOL_H

#include <stdbool.h>

#include "lua/state.h"

/* [-0, +0, -] Takes a coroutine; false when there is no memory for one. Its
 * instructions are counted or not: see interrupt.h. */
bool uj_pool_take(struct uj_state *S, struct uj_thread *thread, bool counted);

/* [-0, +0, -] Gives one back whose stack is empty. */
void uj_pool_give(struct uj_state *S, struct uj_thread *thread);

/* [-0, +0, -] Lets go of the coroutines that a burst has left. */
void uj_pool_trim(struct uj_state *S);

#endif
