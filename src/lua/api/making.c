#include "lua/api/making.h"

#include <lauxlib.h>
#include <stddef.h>
#include <string.h>

#include "core/admit.h"
#include "core/sched.h"
#include "lua/api/order.h"
#include "lua/measure/meter.h"
#include "lua/state/context.h"
#include "lua/state/sched.h"
#include "lua/state/unseen.h"

enum { MAX_ARGS = 240 };

/* [-0, +0, m] Records where the job on the top was spawned. */
static void record_source(lua_State *L)
{
  luaL_traceback(L, L, NULL, 1);
  uj_ljob_set_extra(L, -2, "source");
}

/* uj_job_init() sets all of `core`; zeroing the fields behind that by their
 * size instead of by name forgets none. */
static inline void init_record(struct uj_ljob *job, struct uj_sched *sched,
                               int nargs)
{
  const size_t behind_core = offsetof(struct uj_ljob, co);
  uj_job_init(&job->core, sched);
  memset((char *)job + behind_core, 0, sizeof(*job) - behind_core);
  job->ninputs = (unsigned)nargs;
}

/* [-0, +1, m] Pushes the userdata of a job, of this size and with so many user
 * values. */
static inline struct uj_ljob *push_record(lua_State *L, size_t size,
                                          int nvalues, struct uj_sched *sched,
                                          int nargs)
{
  struct uj_ljob *job = lua_newuserdatauv(L, size, nvalues);
  job->object.tag = uj_job_tag;
  init_record(job, sched, nargs);
  return job;
}

/* [-0, +1, m] The same for a job of a scheduler that has an order, or whose
 * times are measured. */
UJ_APART static struct uj_ljob *push_larger(struct uj_state *S, lua_State *L,
                                            struct uj_sched *sched, int nargs)
{
  bool ranked = sched->order != NULL;
  size_t size =
      uj_times_offset(ranked) + (S->measures ? sizeof(struct uj_times) : 0);
  struct uj_ljob *job =
      push_record(L, size, UJ_JOB_UV_ARGS - 1 + ranked + nargs, sched, nargs);
  if (ranked) {
    job->core.ranked = true;
    uj_job_rank(&job->core)->place = (uint16_t)(UJ_JOB_UV_ARGS + nargs);
    uj_rank_init(sched->order, uj_job_rank(&job->core), UJ_LEVEL_DEFAULT, NULL,
                 false);
  }
  if (S->measures)
    uj_meter_birth(S, job);
  return job;
}

struct uj_ljob *uj_make_job(struct uj_state *S, lua_State *L, int at, int fn,
                            const char *name)
{
  int nargs = lua_gettop(L) - fn;
  struct uj_sched *sched = &uj_lsched_at(L, at)->core;
  struct uj_ljob *job;
  if (nargs > MAX_ARGS)
    luaL_error(L, "too many arguments to '%s' (at most %d)", name, MAX_ARGS);
  if (sched->order != NULL || S->measures)
    job = push_larger(S, L, sched, nargs);
  else
    job = push_record(L, sizeof(struct uj_ljob), UJ_JOB_UV_ARGS - 1 + nargs,
                      sched, nargs);
  for (int i = 0; i <= nargs; i++) {
    lua_pushvalue(L, fn + i);
    lua_setiuservalue(L, -2, UJ_JOB_UV_VALUE + i);
  }
  lua_getiuservalue(L, at, UJ_SCHED_UV_JOB_TYPE);
  lua_setmetatable(L, -2);
  if (S->current != NULL) {
    job->parent = S->current->core.id;
    if (S->current->has_context)
      uj_context_inherit(S, L, job);
  }
  if (S->debug)
    record_source(L);
  return job;
}

struct uj_ljob *uj_make_main(struct uj_state *S, lua_State *L, int fn,
                             const char *name)
{
  struct uj_lsched *sched = uj_lsched_new(S, L);
  struct uj_ljob *job;
  uj_sched_set_limit(&sched->core, UJ_UNLIMITED);
  lua_pushliteral(L, "main");
  lua_setiuservalue(L, -2, UJ_SCHED_UV_NAME);
  lua_insert(L, fn);
  job = uj_make_job(S, L, fn, fn + 1, name);
  lua_replace(L, fn + 1);
  lua_settop(L, fn + 1);
  lua_pushliteral(L, "main");
  uj_ljob_set_extra(L, -2, "name");
  uj_ljob_keep(S, L, job);
  return job;
}

/* The repetition is a user value behind the arguments of the job, which keeps
 * it after it has started, too. */
enum { OCCURRENCE_ARGS = 1 };

struct uj_ljob *uj_make_occurrence(struct uj_state *S, lua_State *L, int at)
{
  struct uj_ljob *job = uj_make_job(S, L, at, lua_gettop(L) - 2, "repeating");
  job->ninputs = OCCURRENCE_ARGS;
  job->repeats = true;
  return job;
}

void uj_make_push_repetition(lua_State *L, int idx)
{
  lua_getiuservalue(L, idx, UJ_JOB_UV_ARGS + OCCURRENCE_ARGS);
}

struct uj_ljob *uj_make_child(struct uj_state *S, lua_State *L, int at, int fn)
{
  struct uj_ljob *job = uj_make_job(S, L, at, fn, "start");
  job->ninputs = UJ_JOB_CHILD_ARGS;
  job->is_child = true;
  return job;
}

/* ---- what no program knows ----------------------------------------------- */

/* [-0, +1, m] Makes the record of an unseen job, and keeps it. All that can
 * fail comes before it is kept. */
static struct uj_ljob *push_unseen(struct uj_state *S, lua_State *L,
                                   struct uj_sched *sched, int nargs)
{
  struct uj_ljob *job = push_record(L, sizeof(struct uj_ljob),
                                    UJ_JOB_UV_ARGS - 1 + nargs, sched, nargs);
  uj_slots_reserve(&S->jobs, L);
  uj_unseen_keep_sched(S, L, 1);
  job->core.room = (unsigned)nargs & UJ_UNSEEN_ARGS;
  uj_ljob_keep(S, L, job);
  return job;
}

/* [-0, +1, m] The same with the record of one that has ended. */
static struct uj_ljob *push_again(struct uj_state *S, lua_State *L,
                                  struct uj_sched *sched, int nargs)
{
  struct uj_ljob *job;
  unsigned room;
  uint32_t slot;
  uj_unseen_keep_sched(S, L, 1);
  job = uj_unseen_take(S);
  room = job->core.room;
  slot = job->slot;
  init_record(job, sched, nargs);
  job->core.room = room;
  job->slot = slot;
  uj_ljob_push_inside(S, L, job);
  return job;
}

struct uj_ljob *uj_make_unseen(struct uj_state *S, lua_State *L)
{
  struct uj_sched *sched = &uj_lsched_at(L, 1)->core;
  int nargs = lua_gettop(L) - 2;
  struct uj_ljob *job = uj_unseen_can_take(S, (unsigned)nargs)
                            ? push_again(S, L, sched, nargs)
                            : push_unseen(S, L, sched, nargs);
  job->core.unseen = true;
  sched->nunseen++;
  for (int i = 0; i <= nargs; i++) {
    lua_pushvalue(L, 2 + i);
    lua_setiuservalue(L, -2, UJ_JOB_UV_VALUE + i);
  }
  if (S->current != NULL)
    job->parent = S->current->core.id;
  return job;
}
