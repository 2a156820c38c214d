/* How many may be within at once, and how many may wait outside: what
 * uvjobs.policy.limit needs of C.
 *
 * It is a semaphore whose number can change, and whose line has a limit, too. A
 * gate that stands in a to-be-closed variable is left at the end of the block.
 */
#ifndef UJ_LUA_POLICY_GATE_H
#define UJ_LUA_POLICY_GATE_H

#include <lauxlib.h>
#include <lua.h>

/* [-0, +0, m] Registers the metatable; the state is on the top. */
void uj_gate_register(lua_State *L);

/* gate(limit, pending_limit [, gates, key]): a new one, with math.huge for no
 * limit. When the last has left, gates[key] becomes nil.
 *
 * gate_enter(gate, name): enters; waits if need be. Returns nothing; or false,
 * when too many wait already. What entered must be put into a to-be-closed
 * variable.
 *
 * gate_set(gate, limit, pending_limit): changes the limits, and lets in those
 * for which there is a place now. gate_counts(gate): within, waiting. */
extern const luaL_Reg uj_gate_internals[];

#endif
