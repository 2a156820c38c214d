/* The jobs on top of which others run: each was interrupted in the middle of a
 * C function, from where it cannot be taken off the C stack. See cover.c. */
#ifndef UJ_LUA_ENGINE_COVERED_H
#define UJ_LUA_ENGINE_COVERED_H

#include <lua.h>
#include <stdbool.h>

#include "lua/state/job.h"
#include "lua/state/state.h"

struct uj_nest;

/* What is put aside of a job while it is covered. On the C stack, above the
 * frames of the job. */
struct uj_cover {
  struct uj_cover *below; /* the job that this one runs on top of, or NULL */
  struct uj_ljob *job;
  lua_State *co;     /* the coroutine that was interrupted */
  lua_State *caller; /* S->L, which has called the loop below */
  /* The same of struct uj_state. */
  lua_State *running, *native;
  struct uj_nest *nest;
  bool yields;
  bool began; /* it is covered; before, there may be no room for that */
};

struct uj_covers {
  struct uj_cover *top; /* the innermost, or NULL */
  int depth;            /* how many there are */
  /* Has others run on top of the job, with L in the place of S->L, until it is
   * the job's turn. [-0, +0, -] */
  void (*go_round)(struct uj_state *S, lua_State *L, struct uj_ljob *job);
  int grounds;           /* place on the hub: table of what is S->L, by depth */
  lua_CFunction require; /* Lua's own */
};

/* The cover of a job, or NULL. */
static inline const struct uj_cover *uj_cover_of(const struct uj_state *S,
                                                 const struct uj_ljob *job)
{
  const struct uj_cover *cover = S->covers->top;
  while (cover != NULL && cover->job != job)
    cover = cover->below;
  return cover;
}

#endif
