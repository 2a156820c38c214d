#include "lua/api/order.h"

#include <lauxlib.h>
#include <math.h>

#include "core/admit.h"
#include "lua/base/seconds.h"

/* A key of jobs, a userdata, which the table of the keys has under its value.
 * Its user value keeps `core.blocked`. */
struct lkey {
  struct uj_group core;
  uint64_t uses; /* by jobs that have not ended */
};

enum { UV_BLOCKED = 1 };

static struct lkey *lkey_of(struct uj_group *core)
{
  return uj_container(core, struct lkey, core);
}

/* ---- options ------------------------------------------------------------- */

void uj_lorder_take_aging(lua_State *L, const struct uj_options_table *options,
                          struct uj_order_options *into)
{
  into->aging_ns = uj_option_slice(L, options);
}

void uj_lorder_take_fair(lua_State *L, const struct uj_options_table *options,
                         struct uj_order_options *into)
{
  into->is_fair = uj_option_boolean(L, options);
}

const char *uj_lorder_read_rate(lua_State *L, int idx, double *rate)
{
  lua_Number number = lua_tonumber(L, idx);
  if (lua_type(L, idx) != LUA_TNUMBER || !(number > 0))
    return "number > 0 or math.huge";
  *rate = isinf(number) ? UJ_NO_RATE : number;
  return NULL;
}

void uj_lorder_push_rate(lua_State *L, double rate)
{
  lua_pushnumber(L, rate > 0 ? rate : HUGE_VAL);
}

void uj_lorder_take_rate(lua_State *L, const struct uj_options_table *options,
                         struct uj_order_options *into)
{
  const char *expected = uj_lorder_read_rate(L, -1, &into->start_rate);
  if (expected != NULL)
    uj_option_error(L, options, expected);
}

void uj_lorder_take_burst(lua_State *L, const struct uj_options_table *options,
                          struct uj_order_options *into)
{
  int is_integer;
  lua_Integer burst = lua_tointegerx(L, -1, &is_integer);
  if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || burst < 1)
    uj_option_error(L, options, "integer >= 1");
  into->start_burst = (uint64_t)burst;
}

void uj_lorder_take_key(lua_State *L, const struct uj_options_table *options)
{
  lua_Number number = lua_tonumber(L, -1);
  if (lua_type(L, -1) == LUA_TSTRING)
    return;
  if (lua_type(L, -1) != LUA_TNUMBER || number != number)
    uj_option_error(L, options, "string or number");
}

unsigned uj_lorder_take_priority(lua_State *L,
                                 const struct uj_options_table *options)
{
  int is_integer;
  lua_Integer priority = lua_tointegerx(L, -1, &is_integer);
  if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || priority < 0 ||
      priority >= UJ_LEVELS)
    uj_option_error(L, options, "integer from 0 to 9");
  return (unsigned)priority;
}

/* ---- the order ----------------------------------------------------------- */

/* [-1, +0, -] Keeps the value on the top with the record of the scheduler at
 * idx. */
static void keep(lua_State *L, int idx, int place)
{
  lua_getiuservalue(L, idx, UJ_RECORD_UV);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, place);
  lua_pop(L, 1);
}

/* [-0, +1, -] Pushes the table of the keys of the scheduler at idx, or nil. */
static void push_keys(lua_State *L, int idx)
{
  lua_getiuservalue(L, idx, UJ_RECORD_UV);
  lua_getiuservalue(L, -1, UJ_SCHED_RECORD_UV_KEYS);
  lua_remove(L, -2);
}

struct order_with_ages {
  struct uj_order order;
  struct uj_order_ages ages[];
};

/* [-0, +1, m] Pushes an order. */
static struct uj_order *push_order(lua_State *L, uint64_t aging_ns,
                                   bool is_fair)
{
  struct order_with_ages *made;
  bool ages = aging_ns != UJ_NEVER;
  made = lua_newuserdatauv(
      L, sizeof(*made) + (ages ? sizeof(made->ages[0]) : 0), 0);
  uj_order_init(&made->order, ages ? made->ages : NULL, aging_ns, is_fair);
  return &made->order;
}

/* Making an order can run finalizers, which can give the scheduler one: then
 * that is its order. */
static void set_order(lua_State *L, int idx, uint64_t aging_ns, bool is_fair)
{
  struct uj_sched *sched = &uj_lsched_at(L, idx)->core;
  struct uj_order *order = push_order(L, aging_ns, is_fair);
  if (sched->order != NULL) {
    lua_pop(L, 1);
    return;
  }
  keep(L, idx, UJ_SCHED_RECORD_UV_ORDER);
  uj_sched_set_order(sched, order);
}

void uj_lorder_need(lua_State *L, int idx)
{
  if (uj_lsched_at(L, idx)->core.order == NULL)
    set_order(L, idx, UJ_NEVER, false);
}

void uj_lorder_make(lua_State *L, int idx,
                    const struct uj_order_options *options)
{
  struct uj_sched *sched = &uj_lsched_at(L, idx)->core;
  if (options->aging_ns == UJ_NEVER && !options->is_fair &&
      options->key_limit == UINT64_MAX && options->start_rate == UJ_NO_RATE)
    return;
  set_order(L, idx, options->aging_ns, options->is_fair);
  uj_sched_set_key_limit(sched, options->key_limit);
  uj_sched_set_rate(sched, options->start_rate,
                    options->start_burst != 0 ? options->start_burst : 1);
}

static void restart_lineup(struct uj_lineup *lineup, uint64_t now_ns)
{
  struct uj_link *lists = lineup->ages->lists;
  const size_t count = sizeof(lineup->ages->lists) / sizeof(lists[0]);
  for (size_t i = 0; i < count; i++)
    for (struct uj_link *link = lists[i].next; link != &lists[i];
         link = link->next) {
      struct uj_waiter *waiter = uj_container(link, struct uj_waiter, aging);
      waiter->since_ns = uj_clock_min(waiter->since_ns, now_ns);
    }
  lineup->next_ns = 0; /* it is looked for again */
}

void uj_lorder_restart(struct uj_state *S)
{
  struct uj_link *link = S->loop.scheds.next;
  for (; link != &S->loop.scheds; link = link->next) {
    struct uj_order *order = uj_container(link, struct uj_sched, link)->order;
    if (order == NULL || order->pending.ages == NULL)
      continue;
    restart_lineup(&order->pending, uj_loop_now(&S->loop));
    restart_lineup(&order->blocked, uj_loop_now(&S->loop));
  }
}

/* ---- keys ---------------------------------------------------------------- */

/* [-0, +1, -] Pushes the key with the value at index `key`, or nil. */
static struct lkey *push_key(lua_State *L, int idx, int key)
{
  push_keys(L, idx);
  if (lua_isnil(L, -1))
    return NULL;
  lua_pushvalue(L, key);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return lua_touserdata(L, -1);
}

static struct lkey *find_key(lua_State *L, int idx, int key)
{
  struct lkey *found = push_key(L, idx, key);
  lua_pop(L, 1);
  return found;
}

/* [-0, +0, m] Makes the table of the keys if it is not there. Making it can run
 * finalizers, which can make it, too. */
static void need_keys(lua_State *L, int idx)
{
  bool is_there;
  push_keys(L, idx);
  is_there = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (is_there)
    return;
  lua_newtable(L);
  push_keys(L, idx);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    keep(L, idx, UJ_SCHED_RECORD_UV_KEYS);
    uj_lsched_at(L, idx)->core.order->nmade = 0;
  } else
    lua_pop(L, 2);
}

/* [-0, +0, m] The same for a key. */
static void make_key(lua_State *L, int idx, int key)
{
  struct uj_order *order = uj_lsched_at(L, idx)->core.order;
  struct lkey *made = lua_newuserdatauv(L, sizeof(*made), UV_BLOCKED);
  made->uses = 0;
  need_keys(L, idx);
  if (find_key(L, idx, key) == NULL) {
    push_keys(L, idx);
    lua_pushvalue(L, key);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    uj_group_init(order, &made->core);
    order->nmade++;
  }
  lua_pop(L, 1);
}

/* [-0, +0, m] Gives a key room for blocked jobs. */
static void make_blocked(lua_State *L, int idx, int key)
{
  struct lkey *found = push_key(L, idx, key);
  struct uj_lane *lane = lua_newuserdatauv(L, sizeof(*lane), 0);
  if (found != NULL && find_key(L, idx, key) == found &&
      found->core.blocked == NULL) {
    lua_setiuservalue(L, -2, UV_BLOCKED);
    uj_group_set_blocked(uj_lsched_at(L, idx)->core.order, &found->core, lane);
    lua_pop(L, 1);
  } else
    lua_pop(L, 2);
}

static struct lkey *prepare_key(lua_State *L, int idx, int key, bool may_block)
{
  struct lkey *found;
  luaL_checkstack(L, LUA_MINSTACK, "key");
  while ((found = find_key(L, idx, key)) == NULL ||
         (may_block && found->core.blocked == NULL)) {
    if (found == NULL)
      make_key(L, idx, key);
    else
      make_blocked(L, idx, key);
  }
  return found;
}

void uj_lorder_prepare_key(lua_State *L, int idx, int key, bool may_block)
{
  (void)prepare_key(L, idx, key, may_block);
}

/* ---- ranks --------------------------------------------------------------- */

void uj_lorder_rank(lua_State *L, int idx, struct uj_ljob *job,
                    const struct uj_rank_options *options)
{
  struct lkey *key = NULL;
  if (options->key != 0) {
    key = prepare_key(L, idx, options->key, false);
    key->uses++;
    lua_pushvalue(L, options->key);
    lua_setiuservalue(L, -2, uj_job_rank(&job->core)->place);
  }
  uj_rank_init(job->core.sched->order, uj_job_rank(&job->core),
               options->priority, key != NULL ? &key->core : NULL,
               options->is_unique);
}

/* [-0, +(0|1), -] */
static bool push_first(struct uj_state *S, lua_State *L,
                       const struct uj_group *key)
{
  struct uj_rank *rank;
  if (uj_link_empty(&key->jobs))
    return false;
  rank = uj_container(key->jobs.next, struct uj_rank, sibling);
  uj_ljob_push(S, L, &uj_container(rank, struct uj_ranked_ljob, rank)->job);
  return true;
}

bool uj_lorder_push_oldest(struct uj_state *S, lua_State *L, int idx, int key)
{
  const struct lkey *found;
  if (uj_lsched_at(L, idx)->core.order == NULL)
    return false;
  found = find_key(L, idx, key);
  return found != NULL && push_first(S, L, &found->core);
}

bool uj_lorder_push_twin(struct uj_state *S, lua_State *L,
                         const struct uj_ljob *job)
{
  return push_first(S, L, uj_job_rank(&job->core)->key);
}

/* [-0, +0, -] The job is on the top. */
static void keep_twin(struct uj_state *S, lua_State *L,
                      const struct uj_ljob *job)
{
  if (uj_lorder_push_twin(S, L, job))
    uj_ljob_set_value(L, job, -2);
}

/* A table does not become smaller when it becomes empty. So after so many keys
 * an empty one is given up. */
enum { MANY_KEYS = 1000 };

/* [-0, +0, -] The job is on the top. Its key is in the table: so setting it to
 * nil needs no memory. */
static void leave_key(struct uj_state *S, lua_State *L, struct uj_sched *sched,
                      const struct uj_rank *rank)
{
  struct lkey *key = lkey_of(rank->key);
  if (--key->uses > 0)
    return;
  uj_group_term(&key->core);
  uj_slots_push(&S->records, L, uj_lsched_of(sched)->record.slot);
  lua_getiuservalue(L, -1, UJ_SCHED_RECORD_UV_KEYS);
  lua_getiuservalue(L, -3, rank->place);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  if (sched->order->nmade > MANY_KEYS && uj_link_empty(&sched->order->keys)) {
    lua_pushnil(L);
    lua_setiuservalue(L, -2, UJ_SCHED_RECORD_UV_KEYS);
  }
  lua_pop(L, 1);
}

void uj_lorder_forget(struct uj_state *S, struct uj_ljob *job)
{
  struct uj_rank *rank = uj_job_rank(&job->core);
  lua_State *hub = S->hub;
  if (rank->key == NULL || rank->key == &job->core.sched->order->nobody)
    return;
  uj_ljob_push(S, hub, job);
  if (rank->is_turned_away)
    keep_twin(S, hub, job);
  leave_key(S, hub, job->core.sched, rank);
  lua_pop(hub, 1);
  rank->key = NULL;
}

void uj_lorder_push_key(lua_State *L, int idx)
{
  const struct uj_ljob *job = uj_ljob_at(L, idx);
  if (job->core.ranked)
    lua_getiuservalue(L, idx, uj_job_rank(&job->core)->place);
  else
    lua_pushnil(L);
}
