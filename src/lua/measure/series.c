#include "lua/measure/series.h"

#include <string.h>

#include "core/link.h"
#include "lua/measure/meter.h"
#include "lua/state/job.h"

/* Collected schedulers are kept apart by so many names. All others are one. */
#define MOST_NAMES 1000

const char *const uj_series_names[UJ_SERIES_KINDS] = {"waited", "ran",
                                                      "lateness"};

static const char *const end_names[UJ_SCHED_ENDS] = {"done", "failed",
                                                     "cancelled", "killed"};

/* ---- birth and death ----------------------------------------------------- */

/* Returns NULL when there is no memory. */
static struct uj_series *new_series(lua_State *L)
{
  void *context;
  lua_Alloc alloc = lua_getallocf(L, &context);
  struct uj_series *self = alloc(context, NULL, 0, sizeof(*self));
  if (self == NULL)
    return NULL;
  memset(self, 0, sizeof(*self));
  self->alloc = alloc;
  self->context = context;
  return self;
}

/* Returns false, and leaves it without a name, when there is no memory. */
static bool copy_name(struct uj_series *self, const char *name, size_t length)
{
  if (name == NULL)
    return true;
  self->name = self->alloc(self->context, NULL, 0, length + 1);
  if (self->name == NULL)
    return false;
  memcpy(self->name, name, length + 1);
  self->name_size = length + 1;
  return true;
}

/* [-0, +0, -] The name is that of the scheduler at idx. */
static void set_name(struct uj_series *self, lua_State *L, int idx)
{
  size_t length;
  const char *name;
  if (lua_getiuservalue(L, idx, UJ_SCHED_UV_NAME) == LUA_TSTRING) {
    name = lua_tolstring(L, -1, &length);
    (void)copy_name(self, name, length);
  }
  lua_pop(L, 1);
}

static void free_series(struct uj_series *self)
{
  for (int kind = 0; kind < UJ_SERIES_KINDS; kind++)
    uj_histogram_term(&self->of[kind].histogram, self->alloc, self->context);
  if (self->name != NULL)
    (void)self->alloc(self->context, self->name, self->name_size, 0);
  (void)self->alloc(self->context, self, sizeof(*self), 0);
}

void uj_series_attach(struct uj_state *S, struct uj_ljob *job)
{
  lua_State *L = S->hub;
  struct uj_series *series = new_series(L);
  if (series == NULL)
    return;
  uj_ljob_push(S, L, job);
  uj_ljob_push_sched(L, lua_gettop(L));
  set_name(series, L, lua_gettop(L));
  lua_pop(L, 2);
  uj_lsched_of(job->core.sched)->series = series;
}

/* ---- collected schedulers ------------------------------------------------ */

static void merge(struct uj_series *into, const struct uj_series *from)
{
  for (int kind = 0; kind < UJ_SERIES_KINDS; kind++) {
    const struct uj_series_one *one = &from->of[kind];
    if (!uj_histogram_merge(&into->of[kind].histogram, &one->histogram,
                            into->alloc, into->context))
      continue;
    for (int i = 0; i <= UJ_SERIES_BOUNDS; i++)
      into->of[kind].counts[i] += one->counts[i];
  }
}

static bool same_name(const struct uj_series *a, const struct uj_series *b)
{
  if (a->is_other)
    return false;
  if (a->name == NULL || b->name == NULL)
    return a->name == b->name;
  return a->name_size == b->name_size &&
         memcmp(a->name, b->name, a->name_size) == 0;
}

/* That of the same name, or NULL. */
static struct uj_series *find_named(const struct uj_meter *meter,
                                    const struct uj_series *series)
{
  struct uj_series *at = meter->retired;
  while (at != NULL && !same_name(at, series))
    at = at->next;
  return at;
}

/* What is to be added to for a scheduler: that of its name; or, when there are
 * too many names already, what has all the others. NULL for nothing yet. */
static struct uj_series *find_retired(const struct uj_meter *meter,
                                      const struct uj_series *series)
{
  struct uj_series *at = find_named(meter, series);
  if (at != NULL || meter->nretired < MOST_NAMES)
    return at;
  at = meter->retired;
  while (at != NULL && !at->is_other)
    at = at->next;
  return at;
}

void uj_series_retire(struct uj_state *S, struct uj_lsched *sched)
{
  struct uj_series *series = sched->series, *into;
  if (series == NULL)
    return;
  sched->series = NULL;
  into = S->dead ? NULL : find_retired(S->meter, series);
  if (into == NULL && !S->dead) {
    into = series;
    into->is_other = S->meter->nretired >= MOST_NAMES;
    into->next = S->meter->retired;
    S->meter->retired = into;
    S->meter->nretired++;
  } else if (into != NULL)
    merge(into, series);
  for (int i = 0; into != NULL && i < UJ_SCHED_ENDS; i++)
    into->ended[i] += sched->core.ended[i];
  if (into != NULL)
    into->cpu_ns += sched->cpu_ns;
  if (into != series)
    free_series(series);
}

void uj_series_term(struct uj_state *S)
{
  struct uj_series *at = S->meter->retired, *next;
  S->meter->retired = NULL;
  for (; at != NULL; at = next) {
    next = at->next;
    free_series(at);
  }
}

/* ---- telling ------------------------------------------------------------- */

/* What is told of a scheduler, read before anything is made of it: making
 * values can run finalizers, which can end jobs. */
struct total {
  uint64_t counts[UJ_SERIES_KINDS][UJ_SERIES_BOUNDS + 1];
  double sums_s[UJ_SERIES_KINDS];
  uint64_t ended[UJ_SCHED_ENDS];
  uint64_t nactive, npending, cpu_ns;
  bool is_other;
};

static void read_series(struct total *total, const struct uj_series *series)
{
  for (int kind = 0; kind < UJ_SERIES_KINDS; kind++) {
    const struct uj_series_one *one = &series->of[kind];
    memcpy(&total->counts[kind], &one->counts, sizeof(one->counts));
    total->sums_s[kind] = one->histogram.sum_s;
  }
  total->is_other = series->is_other;
}

static void set_count(lua_State *L, const char *field, uint64_t count)
{
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, field);
}

static void set_number(lua_State *L, const char *field, double number)
{
  lua_pushnumber(L, (lua_Number)number);
  lua_setfield(L, -2, field);
}

/* [-0, +1, m] */
static void push_total(lua_State *L, const struct total *total)
{
  lua_createtable(L, 0, 12);
  for (int kind = 0; kind < UJ_SERIES_KINDS; kind++) {
    lua_createtable(L, UJ_SERIES_BOUNDS + 1, 1);
    for (int i = 0; i <= UJ_SERIES_BOUNDS; i++) {
      lua_pushinteger(L, (lua_Integer)total->counts[kind][i]);
      lua_rawseti(L, -2, i + 1);
    }
    set_number(L, "sum", total->sums_s[kind]);
    lua_setfield(L, -2, uj_series_names[kind]);
  }
  for (int i = 0; i < UJ_SCHED_ENDS; i++)
    set_count(L, end_names[i], total->ended[i]);
  set_count(L, "active", total->nactive);
  set_count(L, "pending", total->npending);
  set_count(L, "cpu_ns", total->cpu_ns);
  lua_pushboolean(L, total->is_other);
  lua_setfield(L, -2, "is_other");
}

/* Whoever was told the total of a name is to find it grown the next time: so
 * the name gets a place of its own among those that are collected, before the
 * scheduler is. The first of many names are told apart, as by those who ask. */
static void keep_apart(struct uj_state *S, lua_State *L,
                       struct uj_series *series)
{
  struct uj_meter *meter = S->meter;
  struct uj_series *place;
  if (series->is_told || meter->nkept > MOST_NAMES)
    return;
  series->is_told = true;
  if (find_named(meter, series) != NULL)
    return;
  place = new_series(L);
  if (place == NULL)
    return;
  (void)copy_name(place, series->name, series->name_size - 1);
  place->next = meter->retired;
  meter->retired = place;
  meter->nkept++;
}

/* [-0, +0, m] Appends it to the list on the top. */
static void add_total(lua_State *L, const struct uj_series *series,
                      const struct uj_lsched *sched)
{
  struct total total;
  const uint64_t *ended = sched != NULL ? sched->core.ended : series->ended;
  read_series(&total, series);
  memcpy(total.ended, ended, sizeof(total.ended));
  total.cpu_ns = sched != NULL ? sched->cpu_ns : series->cpu_ns;
  total.nactive = sched != NULL ? sched->core.nactive : 0;
  total.npending = sched != NULL ? sched->core.npending : 0;
  push_total(L, &total);
  if (series->name != NULL) {
    lua_pushstring(L, series->name);
    lua_setfield(L, -2, "name");
  }
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* totals(): a list of tables, one for each scheduler with histograms that is
 * there, and one for each name of those that were, with the fields `name` or
 * nil, `is_other`, `active`, `pending`, `done`, `failed`, `cancelled`,
 * `killed`, `cpu_ns`; and `waited`, `ran` and `lateness`, each a list of how
 * many durations are in each bucket, with their `sum`. The collector rests
 * meanwhile, since a scheduler that it takes would be told twice or not at
 * all. */
static int l_totals(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  const struct uj_link *list = &S->loop.scheds;
  bool collects = lua_gc(L, LUA_GCISRUNNING) != 0;
  lua_newtable(L);
  if (collects)
    lua_gc(L, LUA_GCSTOP);
  for (struct uj_link *link = list->next; link != list; link = link->next) {
    struct uj_lsched *sched =
        uj_lsched_of(uj_container(link, struct uj_sched, link));
    if (sched->series == NULL)
      continue;
    keep_apart(S, L, sched->series);
    add_total(L, sched->series, sched);
  }
  for (struct uj_series *at = S->meter->retired; at != NULL; at = at->next)
    add_total(L, at, NULL);
  if (collects)
    lua_gc(L, LUA_GCRESTART);
  return 1;
}

const luaL_Reg uj_series_internals[] = {{"totals", l_totals}, {NULL, NULL}};
