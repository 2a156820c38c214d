#include "lua/insight/holds.h"

#include "core/order.h"
#include "lua/api/order.h"
#include "lua/base/args.h"
#include "lua/base/seconds.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"

/* The job at index 1, if an order decides when it starts; or NULL. */
static struct uj_ljob *ordered_job(lua_State *L)
{
  struct uj_ljob *job = uj_ljob_to(L, 1);
  uj_state(L);
  if (job == NULL || job->core.place != UJ_AT_PENDING ||
      job->core.sched->order == NULL || job->core.sched->paused)
    return NULL;
  return job;
}

static struct uj_group *key_of(const struct uj_ljob *job)
{
  return job->core.ranked ? uj_job_rank(&job->core)->key
                          : &job->core.sched->order->nobody;
}

static int push_key(lua_State *L, const struct uj_ljob *job)
{
  lua_pushliteral(L, "key");
  uj_lorder_push_key(L, 1);
  uj_arg_push_count(L, job->core.sched->order->key_limit);
  lua_pushlightuserdata(L, key_of(job));
  return 4;
}

static int push_rate(lua_State *L, const struct uj_ljob *job)
{
  uint64_t now_ns = uj_loop_now(job->core.sched->loop);
  uint64_t due_ns = uj_order_due(job->core.sched->order, now_ns);
  lua_pushliteral(L, "rate");
  uj_seconds_push(L, due_ns > now_ns ? due_ns - now_ns : 0);
  return 2;
}

static int push_slot(lua_State *L, const struct uj_ljob *job)
{
  lua_pushliteral(L, "slot");
  lua_pushinteger(L, job->core.ranked ? uj_job_rank(&job->core)->waiter.level
                                      : UJ_LEVEL_DEFAULT);
  lua_pushboolean(L, job->core.sched->order->pending.is_fair);
  return 3;
}

static int l_hold(lua_State *L)
{
  const struct uj_ljob *job = ordered_job(L);
  const struct uj_sched *sched;
  if (job == NULL)
    return 0;
  sched = job->core.sched;
  if (!uj_order_key_is_open(sched->order, key_of(job)))
    return push_key(L, job);
  if (sched->order->is_rated && sched->nactive < sched->limit)
    return push_rate(L, job);
  return push_slot(L, job);
}

static int l_key_jobs(lua_State *L)
{
  struct uj_ljob *job = ordered_job(L);
  const struct uj_link *list;
  lua_Integer n = 0;
  if (job == NULL)
    return 0;
  list = &key_of(job)->jobs;
  lua_newtable(L);
  for (struct uj_link *link = list->next; link != list; link = link->next) {
    struct uj_rank *rank = uj_container(link, struct uj_rank, sibling);
    const struct uj_job *other = uj_job_of_rank(job->core.sched, rank);
    if (other->state == UJ_JOB_PENDING)
      continue;
    lua_pushinteger(L, (lua_Integer)other->id);
    lua_rawseti(L, 2, ++n);
  }
  return 1;
}

/* ---- the line ------------------------------------------------------------ */

struct levels {
  lua_Integer jobs[UJ_LEVELS];
  lua_Integer keys[UJ_LEVELS];
};

static void add_lane(struct levels *levels, const struct uj_lane *lane)
{
  for (int i = 0; i < UJ_LEVELS; i++) {
    levels->jobs[i] += lane->counts[i];
    levels->keys[i] += lane->counts[i] > 0;
  }
}

static void push_list(lua_State *L, const lua_Integer list[UJ_LEVELS])
{
  lua_createtable(L, UJ_LEVELS, 0);
  for (int i = 0; i < UJ_LEVELS; i++) {
    lua_pushinteger(L, list[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

static int l_line(lua_State *L)
{
  const struct uj_ljob *job = ordered_job(L);
  struct levels levels = {{0}, {0}};
  const struct uj_link *keys;
  if (job == NULL)
    return 0;
  keys = &job->core.sched->order->keys;
  add_lane(&levels, &job->core.sched->order->nobody.pending);
  for (struct uj_link *link = keys->next; link != keys; link = link->next)
    add_lane(&levels, &uj_container(link, struct uj_group, link)->pending);
  push_list(L, levels.jobs);
  push_list(L, levels.keys);
  return 2;
}

const luaL_Reg uj_holds_internals[] = {
    {"hold", l_hold}, {"key_jobs", l_key_jobs}, {"line", l_line}, {NULL, NULL}};
