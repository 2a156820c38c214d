/* What the modules of lua/uvjobs/policy need of C. */
#ifndef UJ_LUA_POLICY_H
#define UJ_LUA_POLICY_H

#include <lauxlib.h>

/* random(): a number from 0 on, below 1; see random/random.h.
 *
 * ask(fn, ...): the results of fn(...), which cannot suspend.
 *
 * rescue(handler, first, fn, ...): the results of fn(...). When it fails, those
 * of handler(first, error, fn, ...), to which the error is left; so a policy
 * that does nothing when all is well makes neither a table nor a closure for
 * that case. Both functions can suspend. */
extern const luaL_Reg uj_policy_internals[];

#endif
