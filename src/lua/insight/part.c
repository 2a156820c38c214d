#include "lua/insight/part.h"

#include <string.h>

#include "core/turn.h"
#include "lua/insight/glance.h"
#include "lua/insight/seen.h"
#include "lua/measure/meter.h"
#include "lua/state/job.h"

/* What seen() has returned. */
struct part {
  struct uj_state *S;
  const struct uj_glance *glances;
  uint32_t n;
};

static struct part check_part(lua_State *L)
{
  struct part part = {.S = uj_state(L), .glances = lua_touserdata(L, 1)};
  luaL_checktype(L, 1, LUA_TUSERDATA);
  part.n = (uint32_t)luaL_checkinteger(L, 2);
  return part;
}

static int l_seen(lua_State *L)
{
  uint32_t n;
  (void)uj_seen_push(uj_state(L), L, &n);
  lua_pushinteger(L, (lua_Integer)n);
  return 2;
}

/* ---- what they wait for -------------------------------------------------- */

/* The words are literals, of which there are few: so they are compared as
 * pointers. The same word may be there twice. */
struct kind {
  const char *word;
  lua_Integer count;
  bool wanted;
};
enum { MOST_KINDS = 64 };

struct kinds {
  struct kind list[MOST_KINDS];
  int n;
};

static struct kind *find_kind(struct kinds *self, const char *word)
{
  int i = 0;
  while (i < self->n && self->list[i].word != word)
    i++;
  if (i == self->n && self->n < MOST_KINDS)
    self->list[self->n++] = (struct kind){.word = word};
  return &self->list[i < MOST_KINDS ? i : MOST_KINDS - 1];
}

static bool is_wanted(const struct kinds *self, const char *word)
{
  int i = 0;
  while (i < self->n && self->list[i].word != word)
    i++;
  return i < self->n && self->list[i].wanted;
}

static void count_kinds(struct kinds *self, const struct part *part)
{
  self->n = 0;
  for (uint32_t i = 0; i < part->n; i++)
    find_kind(self, part->glances[i].word)->count++;
}

static int l_seen_kinds(lua_State *L)
{
  struct part part = check_part(L);
  struct kinds kinds;
  count_kinds(&kinds, &part);
  lua_createtable(L, 0, kinds.n);
  for (int i = 0; i < kinds.n; i++) {
    lua_getfield(L, -1, kinds.list[i].word);
    lua_pushinteger(L, lua_tointeger(L, -1) + kinds.list[i].count);
    lua_setfield(L, -3, kinds.list[i].word);
    lua_pop(L, 1);
  }
  return 1;
}

/* [-0, +0, m] Appends an index to the list on the top. */
static void append(lua_State *L, uint32_t index, lua_Integer *count)
{
  lua_pushinteger(L, (lua_Integer)index + 1);
  lua_rawseti(L, -2, ++*count);
}

/* The index of the job with this number; part->n for none. */
static uint32_t find_index(const struct part *part, uint64_t id)
{
  uint32_t low = 0, high = part->n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (part->glances[middle].id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low < part->n && part->glances[low].id == id ? low : part->n;
}

/* What is known of a job. */
enum { UNKNOWN, ON_THE_WAY, WANTED, FREE };

/* Whether a job is in no circle and leads to none, as far as it alone tells:
 * nothing is known to hold it. A pending job may be in one. */
static bool is_free(const struct kinds *kinds, const struct uj_glance *glance)
{
  return glance->sched == NULL && !is_wanted(kinds, glance->word);
}

/* Follows the jobs that each wait for one other, from one to an end, or around
 * a circle. All of them are wanted, or none. */
static void follow(const struct part *part, const struct kinds *kinds,
                   unsigned char *known, uint32_t first)
{
  uint32_t at = first;
  unsigned char end;
  while (at < part->n && known[at] == UNKNOWN) {
    known[at] = ON_THE_WAY;
    if (part->glances[at].other == 0)
      known[at] = is_free(kinds, &part->glances[at]) ? FREE : WANTED;
    else
      at = find_index(part, part->glances[at].other);
  }
  end = at == part->n || known[at] != FREE ? WANTED : FREE;
  for (at = first; at < part->n && known[at] == ON_THE_WAY;
       at = find_index(part, part->glances[at].other))
    known[at] = end;
}

static int l_seen_waiting(lua_State *L)
{
  struct part part = check_part(L);
  struct kinds kinds;
  lua_Integer count = 0;
  unsigned char *known;
  luaL_checktype(L, 3, LUA_TTABLE);
  count_kinds(&kinds, &part);
  for (int i = 0; i < kinds.n; i++) {
    kinds.list[i].wanted = lua_getfield(L, 3, kinds.list[i].word) != LUA_TNIL;
    lua_pop(L, 1);
  }
  known = lua_newuserdatauv(L, (size_t)part.n + 1, 0);
  memset(known, UNKNOWN, (size_t)part.n + 1);
  lua_newtable(L);
  for (uint32_t i = 0; i < part.n; i++) {
    if (!is_wanted(&kinds, part.glances[i].word))
      continue;
    follow(&part, &kinds, known, i);
    if (known[i] == WANTED)
      append(L, i, &count);
  }
  return 1;
}

/* ---- the first of an order ----------------------------------------------- */

enum sort { BY_AGE, BY_RESUMES, BY_RAN, BY_READY };
static const char *const sorts[] = {"age", "resumes", "ran", "ready", NULL};

struct entry {
  uint64_t key;
  uint32_t index;
};

/* Of those with equal keys the older ones come first. */
static bool is_before(struct entry a, struct entry b)
{
  return a.key != b.key ? a.key > b.key : a.index < b.index;
}

static uint64_t ready_ns(struct uj_state *S, struct uj_ljob *job,
                         uint64_t now_ns)
{
  const struct uj_times *times;
  uint64_t span_ns;
  if (!job->core.timed)
    return 0;
  times = uj_times_of(job);
  span_ns = times->spent_ns[UJ_PHASE_READY];
  if (S->measures && times->phase == UJ_PHASE_READY && now_ns > times->since_ns)
    span_ns += now_ns - times->since_ns;
  return span_ns;
}

static uint64_t key_of(struct uj_state *S, const struct uj_glance *glance,
                       enum sort sort, uint64_t now_ns)
{
  struct uj_ljob *job = uj_seen_job(S, glance);
  if (job == NULL)
    return 0;
  if (sort == BY_RESUMES)
    return job->resumes;
  return sort == BY_RAN ? job->cpu_ns : ready_ns(S, job, now_ns);
}

/* The last of those that have been chosen is at the top of a heap: it goes when
 * there is a better one. */
static void sift_down(struct entry *heap, uint32_t n, uint32_t at)
{
  for (;;) {
    uint32_t last = at, left = 2 * at + 1, right = left + 1;
    struct entry entry = heap[at];
    if (left < n && is_before(heap[last], heap[left]))
      last = left;
    if (right < n && is_before(heap[last], heap[right]))
      last = right;
    if (last == at)
      return;
    heap[at] = heap[last];
    heap[last] = entry;
    at = last;
  }
}

/* Chooses among all; the heap has room for `most`. Returns how many there are.
 */
static uint32_t choose(const struct part *part, enum sort sort,
                       struct entry *heap, uint32_t most)
{
  uint64_t now_ns = uj_loop_now(&part->S->loop);
  uint32_t n = 0, end = sort == BY_AGE || most == 0 ? most : part->n;
  for (uint32_t i = 0; i < end; i++) {
    struct entry entry = {.index = i};
    if (sort != BY_AGE)
      entry.key = key_of(part->S, &part->glances[i], sort, now_ns);
    if (n < most) {
      heap[n++] = entry;
      for (uint32_t at = n / 2; n == most && at-- > 0;)
        sift_down(heap, n, at);
    } else if (is_before(entry, heap[0])) {
      heap[0] = entry;
      sift_down(heap, n, 0);
    }
  }
  return n;
}

/* Within the list they are in no order. */
static int l_seen_first(lua_State *L)
{
  struct part part = check_part(L);
  enum sort sort = (enum sort)luaL_checkoption(L, 3, NULL, sorts);
  lua_Integer wanted = luaL_checkinteger(L, 4), count = 0;
  uint32_t most = wanted < 0                     ? 0
                  : wanted < (lua_Integer)part.n ? (uint32_t)wanted
                                                 : part.n;
  struct entry *heap =
      lua_newuserdatauv(L, (most + 1) * sizeof(struct entry), 0);
  uint32_t n = choose(&part, sort, heap, most);
  lua_createtable(L, (int)n, 0);
  for (uint32_t i = 0; i < n; i++)
    append(L, heap[i].index, &count);
  return 1;
}

/* ---- those of a scheduler ------------------------------------------------ */

static int l_seen_on(lua_State *L)
{
  struct part part = check_part(L);
  const void *sched = lua_touserdata(L, 3);
  lua_Integer count = 0;
  lua_newtable(L);
  for (uint32_t i = 0; i < part.n; i++) {
    const struct uj_ljob *job = uj_seen_job(part.S, &part.glances[i]);
    if (job != NULL && job->core.sched == sched)
      append(L, i, &count);
  }
  return 1;
}

/* [-0, +0, m] Whether the scheduler is in the set at index 3, where it is
 * then. */
static bool add_to_set(lua_State *L, const void *sched)
{
  bool is_new = lua_rawgetp(L, 3, sched) == LUA_TNIL;
  lua_pop(L, 1);
  if (!is_new)
    return false;
  lua_pushboolean(L, 1);
  lua_rawsetp(L, 3, sched);
  return true;
}

static int l_seen_schedulers(lua_State *L)
{
  struct part part = check_part(L);
  const void *latest = NULL;
  lua_Integer count = 0;
  lua_settop(L, 2);
  lua_newtable(L);
  lua_newtable(L);
  for (uint32_t i = 0; i < part.n; i++) {
    const struct uj_ljob *job = uj_seen_job(part.S, &part.glances[i]);
    if (job == NULL || job->core.sched == latest)
      continue;
    latest = job->core.sched;
    if (add_to_set(L, latest))
      append(L, i, &count);
  }
  return 1;
}

/* ---- one ----------------------------------------------------------------- */

static int l_seen_index(lua_State *L)
{
  struct part part = check_part(L);
  uint32_t index = find_index(&part, (uint64_t)luaL_checkinteger(L, 3));
  if (index == part.n)
    return 0;
  lua_pushinteger(L, (lua_Integer)index + 1);
  return 1;
}

static int l_seen_glance(lua_State *L)
{
  struct part part = check_part(L);
  lua_Integer index = luaL_checkinteger(L, 3);
  struct uj_ljob *job;
  if (index < 1 || index > (lua_Integer)part.n)
    return 0;
  job = uj_seen_job(part.S, &part.glances[index - 1]);
  if (job == NULL)
    return 0;
  uj_insight_push_glance(part.S, L, job, &part.glances[index - 1],
                         uj_loop_now(&part.S->loop));
  return 1;
}

const luaL_Reg uj_part_internals[] = {{"seen", l_seen},
                                      {"seen_kinds", l_seen_kinds},
                                      {"seen_waiting", l_seen_waiting},
                                      {"seen_first", l_seen_first},
                                      {"seen_on", l_seen_on},
                                      {"seen_schedulers", l_seen_schedulers},
                                      {"seen_index", l_seen_index},
                                      {"seen_glance", l_seen_glance},
                                      {NULL, NULL}};
