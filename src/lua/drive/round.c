#include "lua/drive/round.h"

#include "core/turn.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/poll.h"
#include "lua/drive/turn.h"
#include "lua/measure/times.h"

static void turn(struct uj_state *S, lua_State *L)
{
  if (uj_cqueues_must_enter(S))
    uj_cqueues_enter(S, L, uj_drive_turn);
  else
    uj_drive_turn(S, L);
}

/* The main job can end in a round. Then nobody else would close the job that is
 * covered, on the stack of which this runs. */
static void close_rest(struct uj_state *S, lua_State *L)
{
  if (S->main != NULL && uj_job_ended(&S->main->core))
    uj_drive_close_rest(S, L);
}

/* A poll does not wait, as the covered job is ready to go on, and there are few
 * turns in a round. */
static void turn_until_due(struct uj_state *S, lua_State *L,
                           const struct uj_ljob *job)
{
  while (uj_loop_is_covering(&S->loop, &job->core)) {
    uj_poll(S, L);
    turn(S, L);
    close_rest(S, L);
  }
}

/* What others take of the time is not the job's. When one of them had others on
 * top of it, a slice of it may just be over: those that are ready have their
 * turn then, too, or they would wait for one slice after the other while the
 * jobs go on that stand on each other. */
void uj_drive_go_round(struct uj_state *S, lua_State *L, struct uj_ljob *job)
{
  uint64_t covers = S->loop.covers;
  bool measures = S->measures;
  if (measures)
    uj_times_cover(S, job);
  turn_until_due(S, L, job);
  if (S->loop.covers != covers) {
    uj_loop_cover_again(&S->loop, &job->core);
    turn_until_due(S, L, job);
  }
  if (measures)
    uj_times_uncover(S, job);
}
