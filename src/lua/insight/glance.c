#include "lua/insight/glance.h"

#include <assert.h>
#include <string.h>

#include "core/mutex.h"
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
#include "lua/measure/times.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"
#include "lua/state/unseen.h"

/* What a job waits for, in the words of lua/uvjobs/insight/. */
static const char *const op_words[] = {
    [UJ_OP_NONE] = "ready",
    [UJ_OP_YIELD] = "ready",
    [UJ_OP_PREEMPTED] = "ready",
    [UJ_LOP_SLEEP] = "sleep",
    [UJ_LOP_AWAIT] = "await",
    [UJ_LOP_WORK] = "work",
    [UJ_LOP_POLL] = "poll",
    [UJ_OP_WAIT] = "job",
    [UJ_LOP_CLOSE] = "close",
    [UJ_LOP_SHIELD] = "shield",
    [UJ_OP_SPAWN] = "place",
    [UJ_OP_IDLE] = "idle",
    [UJ_LOP_RATE] = "rate",
    [UJ_LOP_LIMIT] = "limit",
    [UJ_LOP_EVENT] = "event",
    [UJ_LOP_GET] = "get",
    [UJ_LOP_PUT] = "put",
    [UJ_LOP_CHANNEL_GET] = "receive",
    [UJ_LOP_CHANNEL_PUT] = "send",
    [UJ_LOP_ACQUIRE] = "permit",
    [UJ_LOP_LOCK] = "mutex",
    [UJ_LOP_SELECT] = "select",
    [UJ_LOP_REPEATING] = "repeating",
};

struct glance {
  uint64_t id;    /* 0: there was no job in this slot */
  uint64_t other; /* the number of the job that it waits for; or 0 */
  uint64_t due_ns;
  struct uj_sched *sched; /* that it waits for, or NULL */
  const char *word;
  uint32_t slot;
};

/* ---- looking ------------------------------------------------------------- */

/* The job is in no wait list. */
static const char *word_of_place(const struct uj_ljob *job)
{
  if (uj_cover_of(uj_state_of(job->core.sched->loop), job) != NULL)
    return "covered";
  switch (job->core.place) {
  case UJ_AT_PENDING:
    return "slot";
  case UJ_AT_HELD:
    return "start";
  case UJ_AT_READY:
    return job->core.started ? "ready" : "start";
  default:
    return "run";
  }
}

/* A wait without a word here is a mistake, for which a look at the others is
 * not to fail. */
static const char *word_of_op(unsigned op)
{
  const char *word =
      op < sizeof(op_words) / sizeof(*op_words) ? op_words[op] : NULL;
  assert(word != NULL);
  return word != NULL ? word : "wait";
}

static bool waits_for_job(const struct uj_job *core)
{
  return core->target != NULL &&
         (core->op == UJ_OP_WAIT || core->op == UJ_LOP_CLOSE ||
          core->op == UJ_LOP_SHIELD);
}

static void look(struct uj_ljob *job, struct glance *glance)
{
  const struct uj_job *core = &job->core;
  glance->id = core->id;
  glance->slot = job->slot;
  glance->due_ns = uj_timer_armed(&core->timer) ? core->timer.due_ns : UJ_NEVER;
  if (core->place != UJ_AT_WAIT) {
    glance->word = word_of_place(job);
    glance->sched = core->place == UJ_AT_PENDING ? core->sched : NULL;
    return;
  }
  glance->word = word_of_op(core->op);
  if (waits_for_job(core))
    glance->other = core->target->id;
  else if (core->op == UJ_OP_SPAWN && core->target != NULL)
    glance->sched = core->target->sched;
}

static struct glance *glance_of(struct glance *glances, struct uj_link *link)
{
  struct uj_job *core = uj_container(link, struct uj_job, queue);
  return &glances[uj_ljob_of(core)->slot];
}

/* Those who wait for the scheduler. */
static void look_at_waiters(struct glance *glances, struct uj_sched *sched,
                            const struct uj_waitq *waitq, const char *word)
{
  const struct uj_link *list = &waitq->jobs;
  for (struct uj_link *link = list->next; link != list; link = link->next) {
    struct glance *glance = glance_of(glances, link);
    glance->word = word;
    glance->sched = sched;
  }
}

static void look_at_scheds(struct glance *glances, const struct uj_loop *loop)
{
  const struct uj_link *list = &loop->scheds;
  for (struct uj_link *link = list->next; link != list; link = link->next) {
    struct uj_sched *sched = uj_container(link, struct uj_sched, link);
    look_at_waiters(glances, sched, &sched->idle, "idle");
    look_at_waiters(glances, sched, &sched->alone, "alone");
  }
}

static void look_at_mutexes(struct glance *glances, const struct uj_loop *loop)
{
  const struct uj_link *list = &loop->locked;
  for (struct uj_link *link = list->next; link != list; link = link->next) {
    const struct uj_mutex *mutex = uj_container(link, struct uj_mutex, locked);
    const struct uj_link *jobs = &mutex->waiters.jobs;
    for (struct uj_link *at = jobs->next; at != jobs; at = at->next)
      glance_of(glances, at)->other = mutex->owner->id;
  }
}

/* ---- in order ------------------------------------------------------------ */

/* Moves the jobs to the front. Returns how many there are. */
static uint32_t compact(struct glance *glances, uint32_t n)
{
  uint32_t count = 0;
  for (uint32_t slot = 0; slot < n; slot++)
    if (glances[slot].id != 0)
      glances[count++] = glances[slot];
  return count;
}

static bool is_sorted(const struct glance *glances, uint32_t n)
{
  for (uint32_t i = 1; i < n; i++)
    if (glances[i].id < glances[i - 1].id)
      return false;
  return true;
}

/* Sorts by one byte of the number, into another array; equal ones stay in their
 * order. */
static void sort_by_byte(const struct glance *from, struct glance *to,
                         uint32_t n, unsigned byte)
{
  uint32_t starts[257] = {0};
  for (uint32_t i = 0; i < n; i++)
    starts[(from[i].id >> (8 * byte) & 0xff) + 1]++;
  for (int i = 0; i < 256; i++)
    starts[i + 1] += starts[i];
  for (uint32_t i = 0; i < n; i++)
    to[starts[from[i].id >> (8 * byte) & 0xff]++] = from[i];
}

/* By number: the order of the slots depends on what was there before. `spare`
 * has as much room. qsort() of the C library can call malloc(), and in a copy
 * of the process that can wait for ever: see inspect/copy.h. */
static void sort(struct glance *glances, struct glance *spare, uint32_t n,
                 uint64_t greatest)
{
  unsigned byte = 0;
  if (is_sorted(glances, n))
    return;
  for (; byte < 8 && greatest >> (8 * byte) != 0; byte++) {
    struct glance *from = byte % 2 == 0 ? glances : spare;
    sort_by_byte(from, from == glances ? spare : glances, n, byte);
  }
  if (byte % 2 != 0)
    memcpy(glances, spare, n * sizeof(*glances));
}

/* [-0, +1, m] Room for all jobs, twice. */
static struct glance *push_room(lua_State *L, uint32_t n)
{
  return lua_newuserdatauv(L, 2 * (size_t)n * sizeof(struct glance), 0);
}

/* [-0, +1, m] Pushes an array of what is seen, in the order of the numbers, of
 * `n` elements. Nothing is allocated while it looks, so all of it is from one
 * moment. */
static struct glance *push_seen(struct uj_state *S, lua_State *L, uint32_t *n)
{
  uint32_t slots = S->jobs.next;
  struct glance *glances = push_room(L, slots);
  while (S->jobs.next > slots) { /* a finalizer has spawned */
    lua_pop(L, 1);
    slots = S->jobs.next;
    glances = push_room(L, slots);
  }
  for (uint32_t slot = 0; slot < slots; slot++) {
    struct uj_ljob *job = slot > 0 ? uj_ljob_live(S, slot) : NULL;
    glances[slot] = (struct glance){.due_ns = UJ_NEVER};
    if (job != NULL)
      look(job, &glances[slot]);
  }
  look_at_scheds(glances, &S->loop);
  look_at_mutexes(glances, &S->loop);
  *n = compact(glances, slots);
  sort(glances, glances + slots, *n, S->loop.last_id);
  return glances;
}

/* The job that was seen, or NULL when a finalizer has ended it meanwhile. */
static struct uj_ljob *job_of(struct uj_state *S, const struct glance *glance)
{
  struct uj_ljob *job = uj_ljob_live(S, glance->slot);
  return job != NULL && job->core.id == glance->id ? job : NULL;
}

void uj_insight_push_jobs(struct uj_state *S, lua_State *L)
{
  lua_Integer count = 0;
  uint32_t n;
  const struct glance *glances = push_seen(S, L, &n);
  lua_createtable(L, (int)n, 0);
  for (uint32_t i = 0; i < n; i++) {
    struct uj_ljob *job = job_of(S, &glances[i]);
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

/* [-0, +1, m] Pushes a table of what is seen of the job. */
static void push_glance(struct uj_state *S, lua_State *L, struct uj_ljob *job,
                        const struct glance *glance, uint64_t now_ns)
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
  const struct glance *glances = push_seen(S, L, &n);
  lua_createtable(L, (int)uj_unseen_count_jobs(S), 0);
  for (uint32_t i = 0; i < n; i++) {
    struct uj_ljob *job = job_of(S, &glances[i]);
    if (job == NULL)
      continue;
    push_glance(S, L, job, &glances[i], now_ns);
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
