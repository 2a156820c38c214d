#include "lua/engine/unwind.h"

#include <string.h>

#include "lua/host.h"

enum { MOST_LEVELS = 200, MOST_VARARGS = 300 };

/* What a protected call has on its stack below the function that it calls. */
enum { OF_PCALL = 1, OF_XPCALL = 3, OF_BODY = 2 };

/* It was called by a block that is left without an error. */
static bool is_close(lua_State *L, lua_Debug *ar)
{
  return lua_getinfo(L, "n", ar) && strcmp(ar->namewhat, "metamethod") == 0 &&
         strcmp(ar->name, "close") == 0;
}

static int values_below(const struct uj_state *S, lua_CFunction function)
{
  if (function == S->pcall)
    return OF_PCALL;
  if (function == S->xpcall)
    return OF_XPCALL;
  return function == uj_host_body ? OF_BODY : 0;
}

static int count_varargs(lua_State *L, lua_Debug *ar)
{
  int n = 0;
  while (n <= MOST_VARARGS && lua_getlocal(L, ar, -n - 1) != NULL) {
    lua_pop(L, 1);
    n++;
  }
  return n;
}

/* A vararg function is moved above its arguments, and leaves them and itself
 * below. */
static int values_moved(lua_State *L, lua_Debug *callee)
{
  lua_getinfo(L, "Su", callee);
  if (!callee->isvararg || *callee->what == 'C')
    return 0;
  return callee->nparams + count_varargs(L, callee) + 1;
}

/* A protected call has caught an error. What it calls for the variables of the
 * blocks that are left has these below it, and so more than a function that was
 * called in the first place. */
static bool has_caught(const struct uj_state *S, lua_State *L, lua_Debug *ar,
                       lua_Debug *callee)
{
  int below;
  lua_getinfo(L, "f", ar);
  below = values_below(S, lua_tocfunction(L, -1));
  lua_pop(L, 1);
  if (below == 0)
    return false;
  below += values_moved(L, callee);
  if (lua_getlocal(L, ar, below + 1) == NULL)
    return false;
  lua_pop(L, 1);
  return true;
}

bool uj_unwind_closes(const struct uj_state *S, lua_State *L)
{
  lua_Debug ar, callee;
  if (!lua_checkstack(L, 2))
    return false;
  for (int level = 0; level < MOST_LEVELS && lua_getstack(L, level, &ar);
       level++) {
    if (is_close(L, &ar) || (level > 0 && has_caught(S, L, &ar, &callee)))
      return true;
    callee = ar;
  }
  return false;
}
