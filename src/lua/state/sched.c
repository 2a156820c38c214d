#include "lua/state/sched.h"

#include <lauxlib.h>

#include "lua/state/job.h"

const char uj_sched_tag[] = UJ_SCHED_TYPE;

/* [-0, +1, m] Pushes a list of what is in the common metatable of jobs: keys
 * and values, one after the other. It is made with the first scheduler, and
 * costs less to go through than the table. */
static void push_job_fields(struct uj_state *S, lua_State *L)
{
  int list = lua_gettop(L) + 1, n = 0;
  if (!uj_hub_is_nil(S->hub, UJ_HUB_JOB_FIELDS)) {
    uj_hub_push(S->hub, L, UJ_HUB_JOB_FIELDS);
    return;
  }
  lua_newtable(L);
  uj_hub_push(S->hub, L, UJ_HUB_JOB_TYPE);
  lua_pushnil(L);
  while (lua_next(L, list + 1)) {
    lua_pushvalue(L, -2);
    lua_rawseti(L, list, ++n);
    lua_rawseti(L, list, ++n);
  }
  lua_settop(L, list);
  lua_pushvalue(L, list);
  uj_hub_set(S->hub, L, UJ_HUB_JOB_FIELDS);
}

/* [-0, +0, m] Gives the scheduler on the top the metatable of its jobs: a copy
 * of the common one which refers to the scheduler. */
static void make_job_type(struct uj_state *S, lua_State *L)
{
  int sched = lua_gettop(L), list = sched + 1, n;
  push_job_fields(S, L);
  n = (int)lua_rawlen(L, list);
  lua_createtable(L, UJ_JOB_TYPE_SCHED, n / 2);
  for (int i = 1; i < n; i += 2) {
    lua_rawgeti(L, list, i);
    lua_rawgeti(L, list, i + 1);
    lua_rawset(L, list + 1);
  }
  lua_pushvalue(L, sched);
  lua_rawseti(L, -2, UJ_JOB_TYPE_SCHED);
  lua_setiuservalue(L, sched, UJ_SCHED_UV_JOB_TYPE);
  lua_settop(L, sched);
}

struct uj_lsched *uj_lsched_new(struct uj_state *S, lua_State *L)
{
  struct uj_lsched *sched =
      uj_record_push(&S->records, L, uj_sched_tag, sizeof(*sched),
                     UJ_SCHED_UV_COUNT, UJ_SCHED_RECORD_UV_COUNT);
  sched->cpu_ns = 0;
  sched->failed = NULL;
  sched->scope = NULL;
  sched->series = NULL;
  uj_sched_init(&sched->core, &S->loop);
  make_job_type(S, L);
  return sched;
}

void uj_lsched_push_announced(lua_State *L, int idx, enum uj_announced what)
{
  lua_getiuservalue(L, idx, UJ_SCHED_UV_JOB_TYPE);
  lua_rawgeti(L, -1, what);
  lua_remove(L, -2);
}

void uj_lsched_set_announced(lua_State *L, int idx, enum uj_announced what)
{
  struct uj_lsched *sched = uj_lsched_at(L, idx);
  lua_getiuservalue(L, idx, UJ_SCHED_UV_JOB_TYPE);
  lua_insert(L, -2);
  lua_rawseti(L, -2, what);
  lua_pop(L, 1);
  if (what == UJ_ANNOUNCED_START)
    sched->core.announces_starts = true;
  else
    sched->core.announces_ends = true;
}

static uint64_t count_jobs(const struct uj_sched *sched, bool shields)
{
  return shields ? sched->nlive : sched->nactive + sched->npending;
}

/* [-0, +1, m] Pushes an empty list with room for all jobs. Making it can run
 * finalizers, and those can spawn: then there are more jobs than it has room
 * for, and it is made again. */
static void push_list(lua_State *L, const struct uj_sched *sched, bool shields)
{
  uint64_t room = count_jobs(sched, shields);
  lua_createtable(L, (int)room, 0);
  while (count_jobs(sched, shields) > room) {
    lua_pop(L, 1);
    room = count_jobs(sched, shields);
    lua_createtable(L, (int)room, 0);
  }
}

/* [-0, +0, -] Appends the jobs to the list on the top, which has room for them
 * and has `n` already. Returns how many it has then. */
static int append(struct uj_state *S, lua_State *L, const struct uj_link *jobs,
                  int n)
{
  for (struct uj_link *link = jobs->next; link != jobs; link = link->next) {
    uj_ljob_push(S, L, uj_ljob_of(uj_container(link, struct uj_job, member)));
    lua_rawseti(L, -2, ++n);
  }
  return n;
}

void uj_lsched_push_jobs(struct uj_state *S, lua_State *L,
                         struct uj_lsched *sched, bool shields)
{
  int n;
  push_list(L, &sched->core, shields);
  n = append(S, L, &sched->core.jobs, 0);
  if (shields)
    append(S, L, &sched->core.shields, n);
}
