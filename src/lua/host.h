/* Runs jobs for the core: the one place that resumes coroutines. */
#ifndef UJ_LUA_HOST_H
#define UJ_LUA_HOST_H

#include "core/loop.h"

extern const struct uj_host uj_host;

#endif
