#include "lua/policy/rate.h"

#include <string.h>

#include "core/rate.h"
#include "core/timers.h"
#include "lua/base/alloc.h"
#include "lua/base/object.h"
#include "lua/base/seconds.h"
#include "lua/engine/alarms.h"
#include "lua/engine/suspend.h"
#include "lua/policy/keys.h"

#define RATE_TYPE "uvjobs.Rate"

static const char rate_tag[] = RATE_TYPE;

/* The buckets of one with keys stand behind it in the userdata, whose user
 * value is the table of their chunks. */
struct rate {
  struct uj_object object;
  struct uj_rate rule;
  struct uj_state *S;
  struct uj_link lines; /* of uj_key_line::link */
  uint64_t most_wait_ns;
  uint64_t clock; /* that all times are of: see sync_clock() */
  uint64_t taken, waited, refused;
  struct uj_key only;   /* without keys */
  struct uj_keys *keys; /* with keys; otherwise NULL */
};

/* The jobs that wait for tokens of one bucket. It is made for the first of them
 * and freed when the last has left. */
struct uj_key_line {
  struct uj_timer timer; /* in uj_rates::lines: when the next token is there */
  struct uj_line line;
  struct uj_link link; /* in rate::lines */
  struct rate *rate;   /* which the waiting jobs have on their stacks */
  struct uj_key *key;
};

void uj_rates_init(struct uj_state *S)
{
  S->rates->lines = NULL;
}

static void set_alarm(struct uj_state *S)
{
  uj_alarms_set(S, UJ_ALARM_RATES, uj_timers_due(S->rates->lines));
}

/* ---- taking -------------------------------------------------------------- */

static void set_bucket(struct rate *rate, struct uj_key *key,
                       struct uj_bucket bucket)
{
  if (rate->keys != NULL && uj_key_line(key) == NULL) {
    uj_keys_set(rate->keys, key, bucket);
    return;
  }
  key->full.due_ns = bucket.full.ns;
  key->part = bucket.full.part;
}

/* Returns how many jobs stand in the line of the bucket. */
static uint64_t length_of(const struct uj_key *key)
{
  const struct uj_key_line *line = uj_key_line(key);
  return line != NULL ? line->line.length : 0;
}

/* Returns when there will be a token for a job behind `ahead` others. */
static uint64_t due_of(const struct rate *rate, const struct uj_key *key,
                       uint64_t ahead, uint64_t now_ns)
{
  struct uj_bucket bucket = uj_key_bucket(key);
  return uj_rate_due(&rate->rule, &bucket, ahead, now_ns);
}

static void take(struct rate *rate, struct uj_key *key, uint64_t now_ns)
{
  struct uj_bucket bucket = uj_key_bucket(key);
  uj_rate_take(&rate->rule, &bucket, now_ns);
  set_bucket(rate, key, bucket);
  rate->taken++;
}

/* Takes a token if one is there and nobody waits for it. Otherwise sets
 * `due_ns` to when there will be one. `key` is NULL when there are too many,
 * and jobs wait for each: a step later, one of them has its token. */
static bool try_take(struct rate *rate, struct uj_key *key, uint64_t now_ns,
                     uint64_t *due_ns)
{
  uint64_t ahead;
  if (key == NULL) {
    *due_ns = uj_clock_add(now_ns, rate->rule.step.ns);
    return false;
  }
  ahead = length_of(key);
  *due_ns = due_of(rate, key, ahead, now_ns);
  if (ahead > 0 || *due_ns > now_ns)
    return false;
  take(rate, key, now_ns);
  return true;
}

/* ---- lines --------------------------------------------------------------- */

/* Called when the last job has left the line. */
static void end_line(struct uj_state *S, struct uj_key_line *line)
{
  struct uj_key *key = line->key;
  uj_timers_remove(S->rates->lines, &line->timer);
  uj_link_remove(&line->link);
  uj_link_init(&key->full.link);
  set_bucket(line->rate, key, uj_key_bucket(key));
  uj_alloc_free(S->hub, line, sizeof(*line));
}

/* Gives those in the line the tokens that are there. The alarm has to be set
 * afterwards. A token is taken now, and not when it was there: if the loop was
 * late, as many more may have grown as the bucket has room for, but no more
 * (P6). */
static void serve(struct uj_state *S, struct uj_key_line *line, uint64_t now_ns)
{
  uint64_t due_ns;
  uj_timers_remove(S->rates->lines, &line->timer);
  while ((due_ns = due_of(line->rate, line->key, 0, now_ns)) <= now_ns &&
         uj_line_wake_one(&line->line) != NULL)
    take(line->rate, line->key, now_ns);
  if (line->line.length == 0)
    end_line(S, line);
  else
    uj_timers_add(S->rates->lines, &line->timer, due_ns);
}

void uj_rates_ring(struct uj_state *S)
{
  uint64_t now_ns = uj_loop_now(&S->loop);
  struct uj_timer *timer;
  while ((timer = uj_timers_pop(S->rates->lines, now_ns)) != NULL)
    serve(S, uj_container(timer, struct uj_key_line, timer), now_ns);
  set_alarm(S);
}

/* [-0, +0, m] Makes the timing wheel. It begins at 0, because a virtual clock
 * can follow the real one. */
static void make_wheel(struct uj_state *S, lua_State *L)
{
  struct uj_timers *lines = lua_newuserdatauv(L, sizeof(*lines), 0);
  uj_timers_init(lines, 0);
  (void)uj_hub_keep(S->hub, L);
  S->rates->lines = lines;
}

/* [-0, +0, m] */
static struct uj_key_line *begin_line(struct uj_state *S, lua_State *L,
                                      struct rate *rate, struct uj_key *key)
{
  struct uj_key_line *line;
  if (S->rates->lines == NULL)
    make_wheel(S, L);
  if (S->rates->lines->count == 0)
    uj_timers_init(S->rates->lines, uj_loop_now(&S->loop));
  line = uj_alloc_resize(L, NULL, 0, sizeof(*line));
  uj_timer_init(&line->timer);
  uj_line_init(&line->line);
  uj_link_append(&rate->lines, &line->link);
  line->rate = rate;
  line->key = key;
  if (rate->keys != NULL)
    uj_timers_remove(&rate->keys->idle, &key->full);
  key->full.link.prev = NULL;
  key->full.link.next = (void *)line;
  return line;
}

/* ---- the object ---------------------------------------------------------- */

static struct rate *check_self(lua_State *L)
{
  return uj_object_self(L, rate_tag, "rate");
}

/* A run under the virtual clock has a time of its own, in which the times that
 * are noted mean nothing: then all buckets are full again. No job waits, as no
 * such run begins or ends while one does. */
static void sync_clock(struct uj_state *S, lua_State *L, struct rate *rate)
{
  if (rate->clock == uj_state_clock(S) || !uj_link_empty(&rate->lines))
    return;
  rate->clock = uj_state_clock(S);
  if (rate->keys == NULL)
    set_bucket(rate, &rate->only, (struct uj_bucket){{0, 0}});
  else
    uj_keys_clear(rate->keys, L, uj_loop_now(&S->loop));
}

/* [-0, +0, m] The bucket for the key at idx; NULL when there are too many. */
static struct uj_key *key_of(struct uj_state *S, lua_State *L,
                             struct rate *rate, int idx, uint64_t now_ns)
{
  sync_clock(S, L, rate);
  if (rate->keys == NULL)
    return &rate->only;
  return uj_keys_get(rate->keys, L, idx, now_ns);
}

static void read_rule(lua_State *L, int idx, struct uj_rate *rule)
{
  uj_rate_init(rule, luaL_checknumber(L, idx),
               (uint64_t)luaL_checkinteger(L, idx + 1));
}

static void init(struct uj_state *S, struct rate *rate)
{
  memset(rate, 0, sizeof(*rate));
  rate->object.tag = rate_tag;
  rate->S = S;
  rate->clock = uj_state_clock(S);
  uj_link_init(&rate->lines);
  uj_timer_init(&rate->only.full);
  rate->only.full.due_ns = 0;
}

/* (rate, burst, most_wait, keys) */
static int l_rate(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  uint64_t most_wait_ns = uj_seconds_to_ns(luaL_checknumber(L, 3));
  uint32_t most = (uint32_t)luaL_optinteger(L, 4, 0);
  size_t size = sizeof(struct rate) + (most > 0 ? sizeof(struct uj_keys) : 0);
  struct rate *rate = lua_newuserdatauv(L, size, most > 0);
  init(S, rate);
  read_rule(L, 1, &rate->rule);
  rate->most_wait_ns = most_wait_ns;
  luaL_setmetatable(L, RATE_TYPE);
  if (most == 0)
    return 1;
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  rate->keys = (struct uj_keys *)(void *)(rate + 1);
  uj_keys_init(rate->keys, most, uj_loop_now(&S->loop));
  return 1;
}

/* A job that waits has the rate on its stack. So there is a line only when
 * somebody else has closed the coroutine of such a job, or when the Lua state
 * closes. */
static int rate_gc(lua_State *L)
{
  struct rate *rate = uj_object_to(L, 1, rate_tag);
  if (rate == NULL)
    return 0;
  while (!uj_link_empty(&rate->lines)) {
    struct uj_key_line *line =
        uj_container(rate->lines.next, struct uj_key_line, link);
    uj_waitq_close(&line->line.waiters);
    end_line(rate->S, line);
  }
  if (rate->keys != NULL)
    uj_keys_term(rate->keys, L);
  rate->keys = NULL;
  return 0;
}

/* ---- taking and waiting -------------------------------------------------- */

/* The wait is over; `ctx` is the bucket. Whoever has left the line early may
 * have been the last one in it. */
static int waited(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  struct uj_key *key;
  struct uj_key_line *line;
  (void)status;
  memcpy(&key, &ctx, sizeof(ctx));
  line = uj_key_line(key);
  if (line != NULL && line->line.length == 0) {
    end_line(S, line);
    set_alarm(S);
  }
  (void)uj_suspend_result(S, L);
  return 0;
}

static int wait(struct uj_state *S, lua_State *L, struct rate *rate,
                struct uj_key *key)
{
  struct uj_key_line *line = uj_key_line(key);
  uint64_t now_ns = uj_loop_now(&S->loop);
  if (line == NULL)
    line = begin_line(S, L, rate, key);
  uj_line_park(&line->line, &S->current->core, UJ_NEVER, UJ_LOP_RATE);
  if (!uj_timer_armed(&line->timer)) {
    uj_timers_add(S->rates->lines, &line->timer, due_of(rate, key, 0, now_ns));
    set_alarm(S);
  }
  rate->waited++;
  return lua_yieldk(L, 0, (lua_KContext)key, waited);
}

/* [-0, +1, -] Refuses a call that would get its token at `due_ns`. */
static int refuse(lua_State *L, struct rate *rate, uint64_t due_ns,
                  uint64_t now_ns)
{
  rate->refused++;
  uj_seconds_push(L, due_ns == UJ_NEVER ? UJ_NEVER : due_ns - now_ns);
  return 1;
}

/* (rate, name, key) */
static int l_rate_take(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct rate *rate = check_self(L);
  struct uj_ljob *job = uj_suspend_check(S, L, luaL_checkstring(L, 2));
  uint64_t now_ns, due_ns;
  struct uj_key *key;
  if (uj_suspend_needed(job))
    return uj_suspend(L, job, NULL, UJ_NEVER, UJ_LOP_RATE,
                      uj_suspend_return_nothing);
  now_ns = uj_loop_now(&S->loop);
  key = key_of(S, L, rate, 3, now_ns);
  if (try_take(rate, key, now_ns, &due_ns))
    return 0;
  due_ns = uj_clock_max(due_ns, now_ns);
  if (key == NULL || due_ns == UJ_NEVER || due_ns >= job->core.deadline_ns ||
      due_ns - now_ns > rate->most_wait_ns)
    return refuse(L, rate, due_ns, now_ns);
  return wait(S, L, rate, key);
}

/* [-0, +(1|2), m] Tries to take a token; the key is at idx. */
static inline int try_at(struct uj_state *S, lua_State *L, struct rate *rate,
                         int idx)
{
  uint64_t now_ns = uj_loop_now(&S->loop), due_ns;
  bool taken = try_take(rate, key_of(S, L, rate, idx, now_ns), now_ns, &due_ns);
  lua_pushboolean(L, taken);
  if (taken)
    return 1;
  return 1 + refuse(L, rate, uj_clock_max(due_ns, now_ns), now_ns);
}

/* (rate, key) */
static int l_rate_try(lua_State *L)
{
  return try_at(uj_state(L), L, check_self(L), 2);
}

/* The upvalues of the method, beside the state: see l_rate_trier(). */
enum { UP_RATES = 2, UP_OTHERWISE };

/* Stack: self, arguments of the key function. The rates in the table of the
 * upvalue have no keys, and nothing else is in it. In Lua, finding the rate of
 * the policy would take as long as all the rest. */
static int policy_try(lua_State *L)
{
  int n = lua_gettop(L);
  if (n > 0) {
    lua_pushvalue(L, 1);
    if (lua_rawget(L, lua_upvalueindex(UP_RATES)) != LUA_TNIL)
      return try_at(uj_state(L), L, lua_touserdata(L, -1), 0);
    lua_pop(L, 1);
  }
  lua_pushvalue(L, lua_upvalueindex(UP_OTHERWISE));
  lua_insert(L, 1);
  lua_call(L, n, LUA_MULTRET);
  return lua_gettop(L);
}

/* Stack: rates, otherwise. */
static int l_rate_trier(lua_State *L)
{
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_pushcclosure(L, policy_try, UP_OTHERWISE);
  return 1;
}

/* ---- changing ------------------------------------------------------------ */

static bool is_same_step(const struct uj_rate *a, const struct uj_rate *b)
{
  return a->parts == b->parts && a->step.ns == b->step.ns &&
         a->step.part == b->step.part;
}

/* By another rate the same number of tokens is missing from a bucket. */
static void change(const struct rate *rate, const struct uj_rate *rule,
                   struct uj_bucket *bucket, uint64_t now_ns)
{
  if (bucket->full.ns >= now_ns)
    uj_rate_change(&rate->rule, rule, bucket, now_ns);
}

static void change_key(struct rate *rate, const struct uj_rate *rule,
                       struct uj_key *key, uint64_t now_ns)
{
  struct uj_bucket bucket = uj_key_bucket(key);
  change(rate, rule, &bucket, now_ns);
  set_bucket(rate, key, bucket);
}

static void change_all(struct uj_state *S, struct rate *rate,
                       const struct uj_rate *rule)
{
  uint64_t now_ns = uj_loop_now(&S->loop);
  if (is_same_step(&rate->rule, rule))
    return;
  if (rate->keys == NULL) {
    change_key(rate, rule, &rate->only, now_ns);
    return;
  }
  for (uint32_t index = 1; index <= uj_keys_room(rate->keys); index++) {
    struct uj_key *key = uj_keys_at(rate->keys, index);
    if (key != NULL)
      change_key(rate, rule, key, now_ns);
  }
  change(rate, rule, &rate->keys->floor, now_ns);
}

/* By the new rule, some may have to wait no longer. */
static void serve_all(struct uj_state *S, struct rate *rate)
{
  struct uj_link *link = rate->lines.next;
  if (link == &rate->lines)
    return;
  while (link != &rate->lines) {
    struct uj_key_line *line = uj_container(link, struct uj_key_line, link);
    link = link->next;
    serve(S, line, uj_loop_now(&S->loop));
  }
  set_alarm(S);
}

/* (rate, rate, burst, most_wait) */
static int l_rate_set(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct rate *rate = check_self(L);
  uint64_t most_wait_ns = uj_seconds_to_ns(luaL_checknumber(L, 4));
  struct uj_rate rule;
  read_rule(L, 2, &rule);
  sync_clock(S, L, rate);
  change_all(S, rate, &rule);
  rate->rule = rule;
  rate->most_wait_ns = most_wait_ns;
  serve_all(S, rate);
  return 0;
}

/* (rate) */
static int l_rate_counts(lua_State *L)
{
  struct rate *rate = check_self(L);
  struct uj_link *link = rate->lines.next;
  uint64_t waiting = 0;
  for (; link != &rate->lines; link = link->next)
    waiting += uj_container(link, struct uj_key_line, link)->line.length;
  lua_pushinteger(L, (lua_Integer)rate->taken);
  lua_pushinteger(L, (lua_Integer)rate->waited);
  lua_pushinteger(L, (lua_Integer)rate->refused);
  lua_pushinteger(L, (lua_Integer)waiting);
  if (rate->keys == NULL)
    return 4;
  lua_pushinteger(L, (lua_Integer)rate->keys->count);
  return 5;
}

void uj_rate_register(lua_State *L)
{
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", rate_gc}, {NULL, NULL}};
  static const struct uj_type type = {
      .tag = rate_tag, .methods = methods, .meta = meta};
  uj_object_register(L, &type);
  lua_pop(L, 1);
}

const luaL_Reg uj_rate_internals[] = {{"rate", l_rate},
                                      {"rate_take", l_rate_take},
                                      {"rate_try", l_rate_try},
                                      {"rate_trier", l_rate_trier},
                                      {"rate_set", l_rate_set},
                                      {"rate_counts", l_rate_counts},
                                      {NULL, NULL}};
