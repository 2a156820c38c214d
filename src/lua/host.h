/* What the core calls: the clock, run a job, kill a job, and what follows when
 * a job has ended or has become ready while the loop was asleep. */
#ifndef UJ_LUA_HOST_H
#define UJ_LUA_HOST_H

#include "core/loop.h"

extern const struct uj_host uj_host;

#endif
