/* The loop of this Lua state as a member of a crew: of the threads whose loops
 * wait for each other, see crew/crew.h. It founds one before the first service
 * that is to be a member; the loops of these services have theirs from the
 * start. */
#ifndef UJ_LUA_CREW_H
#define UJ_LUA_CREW_H

#include <lauxlib.h>
#include <stdbool.h>

#include "crew/crew.h"
#include "crew/turns.h"
#include "lua/state/state.h"

/* found_crew(): founds a crew, unless the loop has a member: before a service
 * is made that is to be another. */
extern const luaL_Reg uj_lcrew_internals[];

/* A run begins, or ends: from then on the member is this loop, or not any more.
 * A crew that the loop has founded ends with the run. */
void uj_lcrew_begin(struct uj_state *S);
void uj_lcrew_end(struct uj_state *S);

/* The member, if the crew has the clock of the run; or NULL. */
static inline struct uj_member *uj_lcrew_member(const struct uj_state *S)
{
  struct uj_member *member = S->member;
  if (member == NULL || uj_turns_are_taken(member) != S->is_virtual ||
      !uj_member_is_here(member))
    return NULL;
  return member;
}

/* Whether there are others that take turns with this loop, which it has to pass
 * on after each of its own. */
static inline bool uj_lcrew_takes_turns(const struct uj_state *S)
{
  return S->member != NULL && S->is_virtual && uj_lcrew_member(S) != NULL;
}

#endif
