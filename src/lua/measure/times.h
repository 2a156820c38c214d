/* How long each job waits, is ready but does not run, and runs (I9).
 *
 * While this is measured the loop has another host, which calls the functions
 * of its plain one and looks at the clock beside them. So what is not measured
 * costs nothing, and no function of the plain host asks whether it is. */
#ifndef UJ_LUA_MEASURE_TIMES_H
#define UJ_LUA_MEASURE_TIMES_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "lua/measure/meter.h"
#include "lua/state/state.h"

/* [-0, +0, m] `plain` is the host of the loop. */
void uj_times_init(struct uj_state *S, lua_State *L,
                   const struct uj_host *plain);

/* [-0, +0, -] From now on somebody wants to measure, or does not. Jobs that
 * live already have no record and never get one. */
void uj_times_use(struct uj_state *S, enum uj_meter_user user, bool on);

/* [-0, +0, -] Others run on top of a job (engine/cover.h), which is ready to go
 * on meanwhile; and it goes on. */
void uj_times_cover(struct uj_state *S, struct uj_ljob *job);
void uj_times_uncover(struct uj_state *S, struct uj_ljob *job);

/* [-0, +0, -] A driver has read the system's clock, while something is
 * measured. `fresh`: it goes on to run jobs. */
void uj_times_note(struct uj_state *S, uint64_t now_ns, bool fresh);

/* [-0, +0, -] Another clock begins: the first is called by the old one, and the
 * second by the new one. */
void uj_times_stop(struct uj_state *S);
void uj_times_start(struct uj_state *S);

/* [-0, +1, m] Pushes a table with the seconds that a job has `waited`, was
 * `ready` and `ran` up to now; one without a record has only `ran`, and nil is
 * pushed when that is not known, either. */
void uj_times_push(struct uj_state *S, lua_State *L, struct uj_ljob *job);

/* measure([on]), trace_start(path, limit), trace_stop(), trace_state(). */
extern const luaL_Reg uj_times_internals[];

#endif
