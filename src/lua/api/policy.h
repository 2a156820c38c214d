/* What the modules of lua/uvjobs/policy need of C. */
#ifndef UJ_LUA_POLICY_H
#define UJ_LUA_POLICY_H

#include <lauxlib.h>

/* random(): a number from 0 on, below 1; see random/random.h.
 *
 * caller(runs): the method `call` of policies, method(self, fn, ...), which is
 * checked, and then done by the function that the table `runs` has for it.
 *
 * consult(fn, ...): the results of fn(...), which cannot suspend.
 *
 * rescue(handler, first, fn, ...): the results of fn(...). When it fails, those
 * of handler(first, error, fn, ...), to which the error is left; so a policy
 * that does nothing when all is well makes neither a table nor a closure for
 * that case. Both functions can suspend.
 *
 * rescuer(counter, handler, first [, fn]): a function that does so with its
 * arguments, which begin with fn if that was not given, and counts its calls.
 * counter() makes a counter, from 0 on, and counted(counter [, n])
 * adds to it and reads it. */
extern const luaL_Reg uj_policy_internals[];

#endif
