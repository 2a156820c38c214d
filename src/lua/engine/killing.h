/* What is known of the job that is being killed, while `S->killing` is set: how
 * much of it may still run. See kill.c, whose hook decides by it. */
#ifndef UJ_LUA_ENGINE_KILLING_H
#define UJ_LUA_ENGINE_KILLING_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/state/state.h"

struct uj_killing {
  /* The stack's depth when the call began that is spared now; 0 when none is;
   * UJ_KILLING_ALL_SPARED in a coroutine that a spared call has resumed. */
  int depth;
  bool begun;        /* `killed` was raised at least once */
  uint64_t until_ns; /* when the spared call's time is over */
  uint64_t count;    /* instructions since it began */
  lua_State *inner;  /* where a running job was killed, or NULL: not always
                        `S->running` */
};

enum { UJ_KILLING_ALL_SPARED = -1 };

/* From now on the current job fails with `killed` again and again, in each of
 * its coroutines that runs, until no function of it is left. Its to-be-closed
 * variables and message handlers run undisturbed. */
static inline void uj_killing_begin(struct uj_state *S)
{
  S->kill->depth = 0;
  S->kill->begun = false;
  S->kill->inner = NULL;
  S->killing = true;
}

static inline void uj_killing_end(struct uj_state *S)
{
  S->killing = false;
  S->kill->inner = NULL;
}

/* The job that is being killed resumes a coroutine. When a call is spared, all
 * that it resumes is spared for as long. Returns what uj_killing_come_out()
 * needs. */
static inline int uj_killing_go_in(struct uj_state *S)
{
  int depth = S->kill->depth;
  if (depth != 0)
    S->kill->depth = UJ_KILLING_ALL_SPARED;
  return depth;
}

/* The coroutine has come back. */
static inline void uj_killing_come_out(struct uj_state *S, int depth)
{
  if (S->kill->depth != 0)
    S->kill->depth = depth;
}

#endif
