/* The loop as one of a crew: it waits for others, and others for it. Each has a
 * thread; under the virtual clock they take turns. See crew/crew.h. */
#ifndef UJ_LUA_DRIVE_TOGETHER_H
#define UJ_LUA_DRIVE_TOGETHER_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "crew/crew.h"
#include "lua/drive/options.h"
#include "lua/state/state.h"

/* In a thread of a crew that takes turns, a run has the clock of the crew, and
 * what is random in it is decided there. */
void uj_together_set_options(const struct uj_state *S,
                             struct uj_run_options *options);
/* The virtual time at which its run begins: 0, or that of the crew. */
uint64_t uj_together_now(const struct uj_state *S);
/* The run begins, and its clock with it. */
void uj_together_begin(struct uj_state *S);

/* Whether the loop waits for something outside of its crew, if it waits at all.
 * `guests`: one of them has something to wait for. */
bool uj_together_is_outside(const struct uj_state *S, bool guests);
/* When the first loop goes on, if this one does at `due_ns`. */
uint64_t uj_together_due(const struct uj_state *S, uint64_t due_ns);

/* [-0, +0, -] No job is ready, and the loop is one of a crew. Returns how that
 * stands, if this loop is to tell it. */
enum uj_crew_verdict uj_together_wait(struct uj_state *S, lua_State *L,
                                      uint64_t due_ns, bool guests);
/* Jobs are ready: it is the turn of another loop, if one can go on. */
void uj_together_pass(struct uj_state *S);
/* [-0, +0, -] Tells of the jobs here when the crew is stuck. */
void uj_together_tell(struct uj_state *S, lua_State *L);

#endif
