/* Why a scheduler with an order lets a pending job wait: its key has reached
 * its limit, the rate of starts allows none for now, or all slots are taken and
 * others may come first. */
#ifndef UJ_LUA_INSIGHT_HOLDS_H
#define UJ_LUA_INSIGHT_HOLDS_H

#include <lauxlib.h>

/* For lua/uvjobs/insight:
 * hold(job): nothing unless the job is pending in a scheduler that has an order
 * and is not paused; otherwise the reason and more:
 *   "key", the key, its limit, and a value that stands for the key
 *   "rate", seconds until the next start is allowed
 *   "slot", the level of the job, and whether the line is fair
 * key_jobs(job): the numbers of the jobs of its key that have a slot.
 * line(job): of the line in which the job is pending, a list of how many jobs
 * are at each level, the most urgent first, and one of how many keys they have.
 * The levels are those at which somebody was let in the last time. */
extern const luaL_Reg uj_holds_internals[];

#endif
