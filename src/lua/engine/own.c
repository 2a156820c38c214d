#include "lua/engine/own.h"

#include <lauxlib.h>
#include <string.h>

/* The place of a source, or the first free one. */
static int find(const struct uj_own *self, const char *source)
{
  int i = 0;
  while (i < UJ_OWN_SOURCES && self->sources[i] != NULL &&
         strcmp(self->sources[i], source) != 0)
    i++;
  return i;
}

bool uj_own_has(const struct uj_state *S, const char *source)
{
  int i = find(S->own, source);
  return i < UJ_OWN_SOURCES && S->own->sources[i] != NULL;
}

bool uj_own_calls(const struct uj_state *S, lua_State *L, lua_Debug *ar)
{
  lua_getinfo(L, "S", ar);
  return uj_own_has(S, ar->source);
}

static int own_source(lua_State *L)
{
  struct uj_own *self = uj_state(L)->own;
  const char *source;
  lua_Debug ar;
  int i;
  if (!lua_getstack(L, 1, &ar))
    return 0;
  lua_getinfo(L, "S", &ar);
  i = find(self, ar.source);
  if (i == UJ_OWN_SOURCES)
    return luaL_error(L, "too many sources");
  if (self->sources[i] != NULL)
    return 0;
  source = lua_pushstring(L, ar.source);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &self->sources[i]);
  self->sources[i] = source;
  return 0;
}

const luaL_Reg uj_own_internals[] = {{"own_source", own_source}, {NULL, NULL}};
