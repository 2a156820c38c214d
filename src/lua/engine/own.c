#include "lua/engine/own.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/engine/ending.h"
#include "lua/engine/stretch.h"

#define FIRST_SIZE 64

/* ---- the table ----------------------------------------------------------- */

/* FNV-1a. */
static uint32_t hash_of(const char *text)
{
  uint32_t hash = UINT32_C(2166136261);
  for (; *text != '\0'; text++)
    hash = (hash ^ (unsigned char)*text) * UINT32_C(16777619);
  return hash;
}

/* The place of a source, or the free one where it belongs. */
static struct uj_own_source *find(struct uj_own_source *sources, size_t size,
                                  const char *text, uint32_t hash)
{
  size_t i = hash & (size - 1);
  while (sources[i].text != NULL &&
         (sources[i].hash != hash || strcmp(sources[i].text, text) != 0))
    i = (i + 1) & (size - 1);
  return &sources[i];
}

static const struct uj_own_source *look_up(const struct uj_own *self,
                                           const char *text)
{
  const struct uj_own_source *source;
  if (self->size == 0)
    return NULL;
  source = find(self->sources, self->size, text, hash_of(text));
  return source->text != NULL ? source : NULL;
}

/* [-0, +0, m] The anchor is on top. */
static void grow(struct uj_own *self, lua_State *L)
{
  size_t size = self->size > 0 ? 2 * self->size : FIRST_SIZE;
  struct uj_own_source *sources =
      lua_newuserdatauv(L, size * sizeof *sources, 0);
  memset(sources, 0, size * sizeof *sources);
  for (size_t i = 0; i < self->size; i++) {
    const struct uj_own_source *old = &self->sources[i];
    if (old->text != NULL)
      *find(sources, size, old->text, old->hash) = *old;
  }
  lua_rawseti(L, -2, 0);
  self->sources = sources;
  self->size = size;
}

/* [-0, +1, m] Pushes the table that keeps the texts, and at 0 the sources. */
static void push_anchor(struct uj_own *self, lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, self) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, self);
}

/* [-0, +0, m] */
static void add(struct uj_own *self, lua_State *L, const char *text, bool ours)
{
  struct uj_own_source *source;
  uint32_t hash = hash_of(text);
  const char *kept;
  if (look_up(self, text) != NULL)
    return;
  push_anchor(self, L);
  if (2 * (self->count + 1) > self->size)
    grow(self, L);
  kept = lua_pushstring(L, text);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  source = find(self->sources, self->size, text, hash);
  *source = (struct uj_own_source){.text = kept, .hash = hash, .ours = ours};
  self->count++;
}

/* ---- questions ----------------------------------------------------------- */

bool uj_own_has(const struct uj_state *S, const char *source)
{
  const struct uj_own_source *found = look_up(S->own, source);
  return found != NULL && found->ours;
}

/* Notes that an interruption is held off. Returns whether it may be. A signal
 * ends the program also under the virtual clock; otherwise real time must not
 * change what happens there. */
static bool may_hold(struct uj_state *S, uint64_t now_ns)
{
  struct uj_own *self = S->own;
  if (self->held_since_ns == 0 || self->held_tick != uj_stretch_tick(S)) {
    self->held_tick = uj_stretch_tick(S);
    self->held_since_ns = now_ns;
  }
  return now_ns - self->held_since_ns < UJ_OWN_MOST_NS ||
         (S->is_virtual && !S->ending->forces);
}

bool uj_own_holds(struct uj_state *S, lua_State *L, lua_Debug *ar,
                  uint64_t now_ns)
{
  const struct uj_own_source *found;
  lua_getinfo(L, "S", ar);
  found = look_up(S->own, ar->source);
  if (found != NULL && (found->ours || may_hold(S, now_ns)))
    return true;
  S->own->held_since_ns = 0;
  return false;
}

/* ---- functions ----------------------------------------------------------- */

static int own_source(lua_State *L)
{
  lua_Debug ar;
  if (!lua_getstack(L, 1, &ar))
    return 0;
  lua_getinfo(L, "S", &ar);
  add(uj_state(L)->own, L, ar.source, true);
  return 0;
}

static int whole_source(lua_State *L)
{
  add(uj_state(L)->own, L, luaL_checkstring(L, 1), false);
  return 0;
}

const luaL_Reg uj_own_internals[] = {
    {"own_source", own_source}, {"whole_source", whole_source}, {NULL, NULL}};
