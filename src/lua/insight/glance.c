#include "lua/insight/glance.h"

#include "loop/driver.h"
#include "lua/api/job.h"
#include "lua/api/permit.h"
#include "lua/api/select.h"
#include "lua/api/semaphore.h"
#include "lua/base/args.h"
#include "lua/base/seconds.h"
#include "lua/engine/covered.h"
#include "lua/engine/nest.h"
#include "lua/engine/own.h"
#include "lua/insight/seen.h"
#include "lua/measure/times.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"
#include "lua/state/unseen.h"

void uj_insight_push_jobs(struct uj_state *S, lua_State *L)
{
  lua_Integer count = 0;
  uint32_t n;
  const struct uj_glance *glances = uj_seen_push(S, L, &n);
  lua_createtable(L, (int)n, 0);
  for (uint32_t i = 0; i < n; i++) {
    struct uj_ljob *job = uj_seen_job(S, &glances[i]);
    if (job == NULL)
      continue;
    uj_ljob_push(S, L, job);
    lua_rawseti(L, -2, ++count);
  }
  lua_remove(L, -2);
}

/* ---- telling ------------------------------------------------------------- */

static void set_number(lua_State *L, const char *field, uint64_t number)
{
  if (number == 0)
    return;
  lua_pushinteger(L, (lua_Integer)number);
  lua_setfield(L, -2, field);
}

static void set_sched(lua_State *L, const char *field, struct uj_sched *sched)
{
  if (sched == NULL)
    return;
  lua_pushlightuserdata(L, sched);
  lua_setfield(L, -2, field);
}

static void set_span(lua_State *L, const char *field, uint64_t from_ns,
                     uint64_t to_ns)
{
  if (from_ns == UJ_NEVER || to_ns == UJ_NEVER)
    return;
  uj_seconds_push(L, to_ns > from_ns ? to_ns - from_ns : 0);
  lua_setfield(L, -2, field);
}

/* A record has as many fields, or some less: see lua/uvjobs/insight/look.lua.
 */
enum { FIELDS = 16 };

void uj_insight_push_glance(struct uj_state *S, lua_State *L,
                            struct uj_ljob *job, const struct uj_glance *glance,
                            uint64_t now_ns)
{
  int table = lua_gettop(L) + 1;
  lua_createtable(L, 0, FIELDS);
  uj_ljob_push(S, L, job);
  uj_ljob_push_name(L, table + 1);
  lua_setfield(L, table, "name");
  uj_ljob_push_sched(L, table + 1);
  lua_setfield(L, table, "scheduler");
  lua_setfield(L, table, "job");
  lua_pushstring(L, uj_ljob_state_name(job));
  lua_setfield(L, -2, "state");
  set_number(L, "id", glance->id);
  set_number(L, "parent", job->parent);
  set_number(L, "other", glance->other);
  set_sched(L, "of", job->core.sched);
  set_sched(L, "sched", glance->sched);
  lua_pushstring(L, glance->word);
  lua_setfield(L, -2, "kind");
  set_span(L, "left", now_ns, glance->due_ns);
  set_span(L, "age", uj_ages_born(&S->insight->ages, glance->id), now_ns);
}

/* glances(): a list of what is seen of every job that lives. */
static int l_glances(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  uint64_t now_ns = uj_loop_now(&S->loop);
  lua_Integer count = 0;
  uint32_t n;
  const struct uj_glance *glances = uj_seen_push(S, L, &n);
  lua_createtable(L, (int)uj_unseen_count_jobs(S), 0);
  for (uint32_t i = 0; i < n; i++) {
    struct uj_ljob *job = uj_seen_job(S, &glances[i]);
    if (job == NULL)
      continue;
    uj_insight_push_glance(S, L, job, &glances[i], now_ns);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

/* ---- the stacks of jobs -------------------------------------------------- */

/* The innermost coroutine of the job at index 1, if it does not run and has a
 * stack; NULL otherwise. */
static lua_State *parked_stack(struct uj_state *S, lua_State *L)
{
  struct uj_ljob *job = uj_ljob_to(L, 1);
  const struct uj_cover *cover;
  if (job == NULL || job->co == NULL || job == S->current)
    return NULL;
  cover = uj_cover_of(S, job);
  if (cover != NULL)
    return cover->co;
  return uj_nest_parked(S, job);
}

/* thing(job): the object whose method has suspended the job: the first value of
 * the innermost function, which is that method. Nothing if it is no object. */
static int l_thing(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_State *co = parked_stack(S, L);
  lua_Debug ar;
  if (co == NULL || co == L || !lua_checkstack(co, 1) ||
      lua_getstack(co, 0, &ar) == 0 || lua_getlocal(co, &ar, 1) == NULL)
    return 0;
  lua_xmove(co, L, 1);
  return lua_isuserdata(L, -1) ? 1 : 0;
}

/* [-0, +0, m] Appends to the list on the top what the permit in a variable
 * holds, if it is one. `level` and `n` say which variable of `co`. */
static bool add_permit(lua_State *L, lua_State *co, lua_Debug *ar, int n)
{
  if (lua_getlocal(co, ar, n) == NULL)
    return false;
  lua_xmove(co, L, 1);
  if (uj_permit_push_held(L, -1)) {
    lua_rawseti(L, -3, (lua_Integer)lua_rawlen(L, -3) + 1);
  }
  lua_pop(L, 1);
  return true;
}

/* Getting to a level takes as many steps as there are levels above it: so with
 * so many, a tenth of a second at most for a job. */
enum { MOST_SEARCHED = 10000 };

/* permits(job): a list of the semaphores and mutexes of which a variable of the
 * job holds a permit. It is made only when somebody looks, so that a permit
 * need not know its holder. Of the coroutines of a job it sees its own and the
 * innermost one. */
static int l_permits(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_to(L, 1);
  lua_State *stacks[2] = {job != NULL ? job->co : NULL, parked_stack(S, L)};
  lua_Debug ar;
  lua_newtable(L);
  for (int i = 0; i < 2; i++) {
    lua_State *co = stacks[i];
    if (co == NULL || co == L || (i == 1 && co == stacks[0]) ||
        !lua_checkstack(co, 1))
      continue;
    for (int level = 0;
         level < MOST_SEARCHED && lua_getstack(co, level, &ar) != 0; level++)
      for (int n = 1; add_permit(L, co, &ar, n);)
        n++;
  }
  return 1;
}

/* [-0, +1, m] Pushes where the innermost function of Lua on the stack stands
 * that is not the library's, as "file:line". Returns false for none. */
static bool push_place(struct uj_state *S, lua_State *L, lua_State *co)
{
  lua_Debug ar;
  for (int level = 0; lua_getstack(co, level, &ar) != 0; level++) {
    lua_getinfo(co, "Sl", &ar);
    if (ar.currentline < 0 || uj_own_has(S, ar.source))
      continue;
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
    return true;
  }
  return false;
}

/* place(job): where the job stands; nothing when it has no stack, or when it is
 * in code of the library alone. Of a job that runs in a coroutine of its own
 * only that is known which runs the calling function. */
static int l_place(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_ljob *job = uj_ljob_to(L, 1);
  lua_State *parked = parked_stack(S, L);
  if (job == NULL || job->co == NULL)
    return 0;
  if (parked == NULL)
    return push_place(S, L, L) ? 1 : 0;
  return push_place(S, L, parked) ||
                 (parked != job->co && push_place(S, L, job->co))
             ? 1
             : 0;
}

/* One step of SplitMix64 (Steele, Lea and Flood, 2014). */
static uint64_t mix(uint64_t key, uint64_t value)
{
  key = (key ^ value) + 0x9e3779b97f4a7c15;
  key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9;
  key = (key ^ key >> 27) * 0x94d049bb133111eb;
  return key ^ key >> 31;
}

/* [-0, +0, v] The key with a function that is called: of Lua, by where it is
 * written and where it stands, as other closures of it are the same here. The
 * text of a source is shared by all functions of a chunk. */
static uint64_t mix_level(uint64_t key, lua_State *co, lua_Debug *ar)
{
  const void *what;
  lua_getinfo(co, "Slf", ar);
  what = lua_iscfunction(co, -1) ? lua_topointer(co, -1) : ar->source;
  lua_pop(co, 1);
  key = mix(key, (uint64_t)(uintptr_t)what);
  key = mix(key, (uint64_t)(int64_t)ar->linedefined);
  return mix(key, (uint64_t)(int64_t)ar->currentline);
}

/* So many are enough to tell stacks apart. */
enum { MOST_LEVELS = 64 };

/* stack_key(job): a number that is the same for jobs whose innermost functions
 * are the same, so that not all stacks need be written to be compared. Nothing
 * for a job that runs or that is in a coroutine of its own. */
static int l_stack_key(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  const struct uj_ljob *job = uj_ljob_to(L, 1);
  lua_State *co = parked_stack(S, L);
  uint64_t key = 0;
  lua_Debug ar;
  if (job == NULL || (job->co != NULL &&
                      (co != job->co || co == L ||
                       uj_cover_of(S, job) != NULL || !lua_checkstack(co, 1))))
    return 0;
  for (int level = 0;
       co != NULL && level < MOST_LEVELS && lua_getstack(co, level, &ar) != 0;
       level++)
    key = mix_level(key, co, &ar);
  lua_pushinteger(L, (lua_Integer)key);
  return 1;
}

/* sources(watch): the list of what a job in select() waits for. */
static int l_sources(lua_State *L)
{
  uj_state(L);
  return uj_select_push_sources(L, 1) ? 1 : 0;
}

/* total(semaphore): how many permits there are, free or taken. */
static int l_total(lua_State *L)
{
  uj_state(L);
  uj_arg_push_count(L, uj_lsemaphore_total(L, 1));
  return 1;
}

/* ---- the rest ------------------------------------------------------------ */

void uj_insight_init(struct uj_state *S, lua_State *L)
{
  lua_pushnil(L);
  S->insight->circles = uj_hub_keep(S->hub, L);
}

static int l_set_circles(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  uj_hub_set(S->hub, L, S->insight->circles);
  return 0;
}

void uj_insight_push_circles(struct uj_state *S, lua_State *L)
{
  uj_hub_push(S->hub, L, S->insight->circles);
  if (lua_isfunction(L, -1) && lua_pcall(L, 0, 1, 0) == LUA_OK)
    return;
  lua_pop(L, 1); /* what they are added to is worth more than they are */
  lua_pushliteral(L, "");
}

void uj_insight_note_time(struct uj_state *S, bool fresh)
{
  uint64_t now_ns = uj_loop_now(&S->loop);
  uj_ages_note(&S->insight->ages, S->loop.last_id, now_ns);
  if (S->measures)
    uj_times_note(S, S->is_virtual ? uj_driver_now() : now_ns, fresh);
}

const luaL_Reg uj_insight_internals[] = {{"glances", l_glances},
                                         {"thing", l_thing},
                                         {"permits", l_permits},
                                         {"place", l_place},
                                         {"stack_key", l_stack_key},
                                         {"sources", l_sources},
                                         {"total", l_total},
                                         {"set_circles", l_set_circles},
                                         {NULL, NULL}};
