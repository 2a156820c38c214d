/* userdata uvjobs.Service, for our modules in Lua: a thread with a Lua state of
 * its own, which answers requests one after the other and may block for it.
 * Requests and answers are values that are copied. */
#ifndef UJ_LUA_SERVICE_H
#define UJ_LUA_SERVICE_H

#include <lauxlib.h>
#include <lua.h>

#include "core/link.h"
#include "lua/state/state.h"

struct uj_service;

/* Part of the state. */
struct uj_services {
  struct uj_link all; /* of those that have a thread */

  /* Where this Lua state is in the thread of a service, and serves it. */
  struct uj_service *inlet; /* borrowed; or NULL */
  int place;     /* place on the hub: the function that receives, or nil */
  int title;     /* place on the hub: how messages call its thread, or nil */
  bool told_end; /* it has been told that it is to end */

  /* Of uj_work::waiting, what members of the crew of this loop answer, or ask:
     see crew.h. */
  uint32_t ninner;
};

/* service(module, argument, on_answer [, is_of_run [, memory_limit
 * [, is_member]]]): requires the module in a new thread and calls what that
 * returns with a mailbox and a copy of the argument. Has the methods
 * ask(value): sends a copy; returns its number, send(packed): sends what pack()
 * has made, once; returns its number, tell(value): sends a copy, for which
 * there is no answer; its number is 0, finish(): asks the thread to end,
 * without waiting for it, withdraw(number): whether the thread had not received
 * it; then it is gone, close(): waits until the thread has ended. It has
 * received all requests then, but the answers that were not heard are dropped.
 * With `is_of_run` it is closed when the run ends. What it has not answered
 * keeps a run from being stuck; unless it `is_member` of the crew of this loop,
 * which found_crew() has founded before: because it runs a loop
 * which can wait for this one. Then it takes turns with it under the virtual
 * clock.
 * on_answer(number, value) is called in no job, for each answer. When the
 * thread has failed, `value` is a string that says why, for each request that
 * it has not received.
 *
 * The mailbox has the methods
 *   wait([fd [, seconds]]): returns whether the descriptor is readable, when it
 *     is or when there are requests; or after so many seconds,
 *   receive(): number and value of the next request, or nil,
 *   answer(number, value),
 *   ends(): whether the function should return: it has been closed.
 *   cpu_time(): how many seconds the thread has computed.
 *
 * pack(value): a userdata that holds a copy, for send().
 *
 * serve(mailbox, receive [, title]): while the function in the thread runs a
 * loop of ours, receive() is called in no job when there are requests, or when
 * the function should return; until nil is given, which it must be before the
 * run ends. It takes all requests. The run is not stuck meanwhile. The title is
 * how messages call the thread. */
extern const luaL_Reg uj_service_internals[];

/* [-0, +0, m] */
void uj_services_init(struct uj_state *S, lua_State *L);

/* The run ends: so do the services that belong to it. */
void uj_services_end_run(struct uj_state *S);
/* The Lua state is closing. */
void uj_services_term(struct uj_state *S);

/* Whether there is an answer, or a request, that nobody has heard. */
bool uj_services_have_news(const struct uj_state *S);
/* Calls on_answer for what services have answered, and `receive` for what is
 * asked here. An error is kept for run().
 */
void uj_services_hear(struct uj_state *S, lua_State *L);

/* [-0, +1, -] Pushes the title of serve(). */
void uj_services_push_title(struct uj_state *S, lua_State *L);

/* [-0, +0, m] Registers the types; the state is on the top. */
void uj_service_register(lua_State *L);

#endif
