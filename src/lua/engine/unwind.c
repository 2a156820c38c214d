#include "lua/engine/unwind.h"

#include <string.h>

#include "lua/base/inside.h"
#include "lua/engine/body.h"
#include "lua/engine/hookerror.h"

enum { MOST_LEVELS = 200, MOST_VARARGS = 300 };

/* Whether a block that is left without an error has called the function. */
static bool is_close(lua_State *L, lua_Debug *ar)
{
  return lua_getinfo(L, "n", ar) &&
         strcmp(ar->namewhat, UJ_INSIDE_CLOSE_NAMEWHAT) == 0 &&
         strcmp(ar->name, UJ_INSIDE_CLOSE_NAME) == 0;
}

/* How many values a protected call has on its stack below the function that it
 * calls; 0 if `function` is no protected call. */
static int values_below(const struct uj_state *S, lua_CFunction function)
{
  if (function == S->hookerror->pcall)
    return UJ_INSIDE_PCALL_BELOW;
  if (function == S->hookerror->xpcall)
    return UJ_INSIDE_XPCALL_BELOW;
  return function == uj_body ? UJ_BODY_BELOW : 0;
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

/* Lua moves a vararg function above its arguments when it is called: they, and
 * a copy of the function, stay below. */
static int values_moved(lua_State *L, lua_Debug *callee)
{
  lua_getinfo(L, "Su", callee);
  if (!callee->isvararg || *callee->what == 'C')
    return 0;
  return callee->nparams + count_varargs(L, callee) + 1;
}

/* Whether the protected call at `ar` has caught an error and closes variables.
 * `callee` is what it calls. The functions of to-be-closed variables are called
 * above the variables; so there are more values below them than below the
 * function that the protected call was made for. */
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
