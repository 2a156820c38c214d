/* Which coroutine of a Lua state runs: for a signal handler, which has to set a
 * hook on that one.
 *
 * Lua does not say it, and a signal handler cannot find out: the stack on which
 * it would have to look may be about to move. So there are functions of ours in
 * place of those of `coroutine` that run a coroutine: they do what Lua's own
 * do, and note which coroutine runs. A coroutine that a library in C resumes by
 * itself is not noted, and neither is one that is resumed by a function that
 * was taken out of the table before. */
#ifndef UJ_LUA_TRACKED_H
#define UJ_LUA_TRACKED_H

#include <lua.h>

#include "lua/engine/resume.h"

/* [-0, +0, v] Replaces `resume`, `wrap` and `close` of the table `coroutine`,
 * as far as they are Lua's own, and not of a profiler for instance. `tracked`
 * must outlive the state. */
void uj_tracked_open(lua_State *L, struct uj_tracked *tracked);

#endif
