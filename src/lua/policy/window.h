/* How many calls ended in the last seconds, and how many of them failed. It is
 * the part of uvjobs.policy.breaker that is in C, because each call of a
 * healthy service pays for it.
 *
 * Calls that ended in the same nanosecond are one run. When there are more than
 * a thousand runs, those that are closer to each other than a 512th of the
 * window are merged. Then calls that are older than 511 512ths of the window
 * may be missing from what is counted; a call that is older than the window is
 * never counted. So the memory has a bound, whatever the number of calls. */
#ifndef UJ_LUA_POLICY_WINDOW_H
#define UJ_LUA_POLICY_WINDOW_H

#include <lauxlib.h>
#include <lua.h>

/* [-0, +0, m] Registers the metatable; the state is on the top. */
void uj_window_register(lua_State *L);

/* window(length, minimum, ratio): a new one; `length` is in nanoseconds.
 *
 * window_add(window, now, failure): adds a call that ended now, with 1 for one
 * that failed and 0 for one that did not. Returns whether there are now
 * `minimum` calls and more, of which `ratio` have failed. `now`, in
 * nanoseconds, is never less than before.
 *
 * window_set(window, is_closed, clears): whether the breaker is closed; and
 * forgets all calls, or those of another clock.
 *
 * window_runs(window): total, failed, and a list of the runs for specs: when
 * each ended, its calls, and those of them that failed.
 *
 * guard(window, otherwise, failed, opens, inner): a function that does as
 * fn(...) when it is called with (fn, ...); and with `inner`, as
 * inner(fn, ...). While the breaker is not closed it is otherwise(fn, ...) that
 * is called instead. failed(err) is called when it fails, opens(now) when it
 * succeeds and window_add() would return true. */
extern const luaL_Reg uj_window_internals[];

#endif
