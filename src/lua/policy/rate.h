/* How often something may start: what uvjobs.policy.rate needs of C.
 *
 * Jobs that wait for a token stand in a line with nothing. The token is taken
 * in the moment in which the first of them is woken for it, as a permit of a
 * semaphore is handed over; so who leaves the line has taken nothing, and the
 * next is not later than if it had never come (P7). All lines of a Lua state
 * are in one timing wheel, by when the next token is there, and one alarm. */
#ifndef UJ_LUA_POLICY_RATE_H
#define UJ_LUA_POLICY_RATE_H

#include <lauxlib.h>
#include <lua.h>

#include "lua/state/state.h"

struct uj_timers;

struct uj_rates {
  struct uj_timers *lines; /* of uj_key_line::timer; a userdata on the
                              hub, NULL until a job has waited */
};

void uj_rates_init(struct uj_state *S);

/* The alarm has gone off: hands out the tokens that are there. */
void uj_rates_ring(struct uj_state *S);

/* [-0, +0, m] Registers the metatable; the state is on the top. */
void uj_rate_register(lua_State *L);

/* rate(rate, burst, most_wait, keys): a new one; without `keys`, for one
 * bucket.
 *
 * rate_take(rate, name, key): takes a token; waits for it if need be. Returns
 * nothing; or, when it would have to wait for too long, how long, in seconds:
 * then it has not waited. `name` is that of the public function.
 *
 * rate_try(rate, key): takes a token and returns true; or returns false and how
 * long it would have to wait.
 *
 * rate_trier(rates, otherwise): the method `try` of policies: rate_try() of
 * what the table `rates` has for the policy; and otherwise(policy, ...) when it
 * has nothing.
 *
 * rate_set(rate, rate, burst, most_wait): changes it. rate_counts(rate): taken,
 * waited, refused, waiting, keys. */
extern const luaL_Reg uj_rate_internals[];

#endif
