#include "lua/engine/profiling.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/driver.h"
#include "lua/engine/hook.h"
#include "lua/engine/nest.h"
#include "lua/state/job.h"
#include "lua/state/sched.h"

enum { SLOTS = 2 * UJ_PROFILING_STACKS, FRAMES = 64, FRAME = 160 };

struct uj_profiled {
  char *stack; /* NULL: the slot is free */
  uint32_t hash;
  uint64_t samples;
};

/* ---- the table ----------------------------------------------------------- */

/* FNV-1a */
static uint32_t hash_of(const char *text)
{
  uint32_t hash = UINT32_C(2166136261);
  for (; *text != '\0'; text++)
    hash = (hash ^ (unsigned char)*text) * UINT32_C(16777619);
  return hash;
}

static void add(struct uj_profiling *self, const char *stack, uint64_t samples)
{
  uint32_t hash = hash_of(stack), at = hash % SLOTS;
  struct uj_profiled *slot = &self->slots[at];
  while (slot->stack != NULL &&
         (slot->hash != hash || strcmp(slot->stack, stack) != 0)) {
    at = (at + 1) % SLOTS;
    slot = &self->slots[at];
  }
  if (slot->stack == NULL && self->count < UJ_PROFILING_STACKS) {
    slot->stack = strdup(stack);
    slot->hash = hash;
    self->count += slot->stack != NULL;
  }
  if (slot->stack != NULL)
    slot->samples += samples;
  else
    self->others += samples;
}

void uj_profiling_term(struct uj_state *S)
{
  struct uj_profiling *self = S->profiling;
  atomic_store(&S->watch.sample_ns, 0);
  S->hook->samples = false;
  for (uint32_t i = 0; self->slots != NULL && i < SLOTS; i++)
    free(self->slots[i].stack);
  free(self->slots);
  *self = (struct uj_profiling){.slots = NULL};
}

/* ---- a stack ------------------------------------------------------------- */

/* What is put together: the frames from the innermost on. */
struct stack {
  char frames[FRAMES][FRAME];
  int count;
};

/* A semicolon separates frames, and a line break lines. */
static void clean(char *text)
{
  for (; *text != '\0'; text++)
    if (*text == ';')
      *text = ',';
    else if ((unsigned char)*text < ' ')
      *text = ' ';
}

static void describe(char *frame, const lua_Debug *ar)
{
  const char *name = ar->name != NULL ? ar->name : "?";
  if (*ar->what == 'C')
    (void)snprintf(frame, FRAME, "%s [C]", name);
  else if (*ar->what == 'm')
    (void)snprintf(frame, FRAME, "main chunk (%s:%d)", ar->short_src,
                   ar->currentline);
  else if (ar->name == NULL)
    (void)snprintf(frame, FRAME, "function (%s:%d)", ar->short_src,
                   ar->currentline);
  else
    (void)snprintf(frame, FRAME, "%s (%s:%d)", name, ar->short_src,
                   ar->currentline);
  clean(frame);
}

/* The body of a job, which is C, is at the bottom of its coroutine. */
static void add_frames(struct stack *stack, lua_State *co, bool is_own)
{
  lua_Debug ar, next;
  for (int level = 0; lua_getstack(co, level, &ar) != 0; level++) {
    lua_getinfo(co, "Sln", &ar);
    if (is_own && *ar.what == 'C' && lua_getstack(co, level + 1, &next) == 0)
      break;
    if (stack->count == FRAMES)
      break;
    describe(stack->frames[stack->count++], &ar);
  }
}

/* The innermost coroutine is `co`; the job has nested it, or it is its own. */
static void collect(struct uj_state *S, lua_State *co, struct stack *stack)
{
  const struct uj_nest *nest = S->nest;
  lua_State *own = S->current->co;
  stack->count = 0;
  add_frames(stack, co, co == own);
  for (; nest != NULL && co != own; nest = nest->outer) {
    co = nest->outer != NULL ? nest->outer->co : own;
    add_frames(stack, co, co == own);
  }
}

/* (state, text, room): the name of the current job, or of its scheduler, goes
 * into the text. */
static int get_name(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  char *text = lua_touserdata(L, 2);
  const char *name;
  uj_ljob_push(S, L, S->current);
  uj_ljob_push_name(L, 3);
  if (!lua_isstring(L, -1)) {
    uj_ljob_push_sched(L, 3);
    lua_getiuservalue(L, -1, UJ_SCHED_UV_NAME);
  }
  name = lua_tostring(L, -1);
  (void)snprintf(text, FRAME, "%s", name != NULL ? name : "job");
  return 0;
}

/* The name is Lua's, and asking for it can run the collector: so that rests. No
 * hook is called while one is. */
static void put_name(struct uj_state *S, lua_State *L, char *text)
{
  bool collects = lua_gc(L, LUA_GCISRUNNING) != 0;
  (void)snprintf(text, FRAME, "job");
  if (lua_checkstack(L, LUA_MINSTACK)) {
    lua_gc(L, LUA_GCSTOP);
    lua_pushcfunction(L, get_name);
    lua_pushlightuserdata(L, S);
    lua_pushlightuserdata(L, text);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK)
      lua_pop(L, 1);
    if (collects)
      lua_gc(L, LUA_GCRESTART);
  }
  clean(text);
}

static void take(struct uj_state *S, lua_State *L, uint64_t samples)
{
  static const char separator[] = ";";
  struct stack stack;
  char text[UJ_PROFILING_TEXT];
  size_t used;
  collect(S, L, &stack);
  put_name(S, L, text);
  used = strlen(text);
  while (stack.count > 0) {
    const char *frame = stack.frames[--stack.count];
    size_t length = strlen(frame);
    if (used + length + sizeof(separator) >= sizeof(text))
      break;
    text[used++] = *separator;
    memcpy(text + used, frame, length + 1);
    used += length;
  }
  add(S->profiling, text, samples);
}

/* ---- samples ------------------------------------------------------------- */

bool uj_profiling_look(struct uj_state *S, lua_State *L)
{
  uint64_t samples = atomic_exchange(&S->watch.samples, 0);
  if (samples == 0 || S->current == NULL || S->killing)
    return samples > 0;
  take(S, L, samples);
  return true;
}

void uj_profiling_count(struct uj_state *S, lua_State *L, uint64_t now_ns)
{
  struct uj_profiling *self = S->profiling;
  uint64_t late_ns;
  if (self->period_ns == 0 || now_ns < self->next_ns)
    return;
  late_ns = now_ns - self->next_ns;
  self->next_ns = now_ns + self->period_ns;
  take(S, L,
       1 + (late_ns < UINT64_C(100000000) ? late_ns : 0) / self->period_ns);
}

/* profile_start(rate) */
static int l_profile_start(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_profiling *self = S->profiling;
  lua_Number rate = luaL_checknumber(L, 1);
  if (self->slots != NULL) {
    lua_pushboolean(L, 0);
    return 1;
  }
  self->slots = calloc(SLOTS, sizeof(*self->slots));
  if (self->slots == NULL)
    return luaL_error(L, "not enough memory");
  self->period_ns = (uint64_t)(1e9 / rate);
  self->next_ns = uj_driver_now() + self->period_ns;
  S->hook->samples = true;
  atomic_store(&S->watch.samples, 0);
  atomic_store(&S->watch.sample_ns, self->period_ns);
  lua_pushboolean(L, 1);
  return 1;
}

/* profile_stop() */
static int l_profile_stop(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_profiling *self = S->profiling;
  if (self->slots == NULL)
    return 0;
  atomic_store(&S->watch.sample_ns, 0);
  self->period_ns = 0; /* no more samples, whatever is called below */
  atomic_store(&S->watch.samples, 0);
  lua_newtable(L);
  for (uint32_t i = 0; i < SLOTS; i++) {
    const struct uj_profiled *slot = &self->slots[i];
    if (slot->stack == NULL)
      continue;
    lua_pushinteger(L, (lua_Integer)slot->samples);
    lua_setfield(L, -2, slot->stack);
  }
  if (self->others > 0) {
    lua_pushinteger(L, (lua_Integer)self->others);
    lua_setfield(L, -2, "other");
  }
  uj_profiling_term(S);
  return 1;
}

const luaL_Reg uj_profiling_internals[] = {{"profile_start", l_profile_start},
                                           {"profile_stop", l_profile_stop},
                                           {NULL, NULL}};
