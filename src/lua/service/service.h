/* userdata uvjobs.Service, for our modules in Lua: a thread with a Lua state of
 * its own, which answers requests one after the other and may block for it.
 * Requests and answers are values that are copied. */
#ifndef UJ_LUA_SERVICE_H
#define UJ_LUA_SERVICE_H

#include <lauxlib.h>
#include <lua.h>

#include "core/link.h"
#include "lua/state/state.h"

/* Part of the state. */
struct uj_services {
  struct uj_link all; /* of those that have a thread */
};

/* service(module, argument, on_answer): requires the module in a new thread and
 * calls what that returns with a mailbox and a copy of the argument. Has the
 * methods
 *   ask(value): sends a copy; returns its number,
 *   withdraw(number): whether the thread had not received it; then it is gone,
 *   close(): waits until the thread has ended. It has received all requests
 *     then, but the answers that were not heard are dropped.
 * on_answer(number, value) is called in no job, for each answer. When the
 * thread has failed, `value` is a string that says why, for each request that
 * it has not received.
 *
 * The mailbox has the methods
 *   wait([fd [, seconds]]): returns whether the descriptor is readable, when it
 *     is or when there are requests; or after so many seconds,
 *   receive(): number and value of the next request, or nil,
 *   answer(number, value),
 *   ends(): whether the function should return: it has been closed. */
extern const luaL_Reg uj_service_internals[];

void uj_services_init(struct uj_state *S);

/* Whether a service has answered what nobody has heard. */
bool uj_services_have_news(const struct uj_state *S);
/* Calls on_answer for what services have answered. An error is kept for run().
 */
void uj_services_hear(struct uj_state *S, lua_State *L);

/* [-0, +0, m] Registers the types; the state is on the top. */
void uj_service_register(lua_State *L);

#endif
