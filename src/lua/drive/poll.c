#include "lua/drive/poll.h"

#include "core/end.h"
#include "core/turn.h"
#include "loop/driver.h"
#include "lua/api/closing.h"
#include "lua/api/date.h"
#include "lua/api/work.h"
#include "lua/channel/hear.h"
#include "lua/drive/guests.h"
#include "lua/drive/luv.h"
#include "lua/drive/outside.h"
#include "lua/drive/stuck.h"
#include "lua/drive/together.h"
#include "lua/engine/dumping.h"
#include "lua/engine/ending.h"
#include "lua/engine/inspecting.h"
#include "lua/engine/interrupt.h"
#include "lua/insight/glance.h"
#include "lua/measure/meter.h"
#include "lua/service/crew.h"
#include "lua/service/service.h"
#include "lua/state/job.h"
#include "lua/supervisor/children.h"

/* ---- polling between two turns ------------------------------------------- */

/* Nothing can ever wake a job again. All jobs are ended, by force if need be,
 * and run() raises the error. */
static void give_up(struct uj_state *S, lua_State *L)
{
  uj_stuck_push_error(S, L);
  uj_state_keep_error(S, L);
  uj_loop_close(&S->loop, S->main->core.sched->close_ns);
}

/* Tells of jobs that only a limit can wake, if there are any. Returns whether
 * that has made a job ready. */
static bool is_told_stuck(struct uj_state *S, lua_State *L)
{
  if (S->closing->nlimited == 0 || uj_channels_are_reachable(S))
    return false;
  uj_stuck_report(S, L);
  return uj_loop_ready(&S->loop);
}

static void tell(struct uj_state *S, lua_State *L, enum uj_crew_verdict verdict)
{
  if (verdict == UJ_CREW_IS_STUCK)
    give_up(S, L);
  if (verdict != UJ_CREW_IS_LIMITED)
    return;
  S->pace->told_runs = uj_watch_count_runs(&S->watch);
  uj_stuck_report(S, L);
}

/* Nobody else waits for this loop, or the other way round. */
static void wait_alone(struct uj_state *S, lua_State *L, uint64_t due_ns,
                       bool io)
{
  if (!S->is_virtual)
    uj_outside_wait(S, L, uj_clock_max(due_ns, uj_pace_next(S)));
  else if (io)
    uj_outside_wait(S, L, uj_outside_due(S, due_ns));
  else {
    uj_outside_poll(S);
    S->virtual_ns = due_ns;
  }
}

/* No job is ready. `guests`: whether one of them has something to wait for. */
static void wait(struct uj_state *S, lua_State *L, bool guests)
{
  uint64_t due_ns = uj_loop_due(&S->loop);
  bool io = guests || S->work->waiting > 0 ||
            (due_ns == UJ_NEVER && uj_channels_are_reachable(S));
  if (due_ns == UJ_NEVER && !io)
    give_up(S, L);
  else if (!io && is_told_stuck(S, L))
    return;
  else if (uj_lcrew_member(S) == NULL)
    wait_alone(S, L, due_ns, io);
  else
    tell(S, L, uj_together_wait(S, L, due_ns, guests));
}

/* Jobs are ready, so the virtual clock stands still. When they have been for so
 * many turns (seconds of real time), they are taken for jobs that never come to
 * rest, and the clock jumps: as it does while a job computes without end. */
#define RESTLESS_TURNS UINT64_C(10000000)

void uj_poll_init(struct uj_state *S)
{
  S->pace->restless_turns = RESTLESS_TURNS;
}

void uj_poll_begin(struct uj_state *S)
{
  *S->pace = (struct uj_pace){.still_turns = S->loop.turns,
                              .restless_turns = S->pace->restless_turns};
}

static void jump_if_restless(struct uj_state *S, bool guests)
{
  struct uj_pace *pace = S->pace;
  uint64_t due_ns;
  if (pace->still_ns != S->virtual_ns || uj_together_is_outside(S, guests)) {
    pace->still_ns = S->virtual_ns;
    pace->still_turns = S->loop.turns;
  } else if (S->loop.turns - pace->still_turns >= pace->restless_turns) {
    due_ns = uj_together_due(S, uj_timers_due(&S->loop.timers));
    if (due_ns != UJ_NEVER)
      S->virtual_ns = uj_clock_max(S->virtual_ns, due_ns);
  }
}

/* Jobs are ready, so this does not wait. */
static void poll_on_the_way(struct uj_state *S, bool guests)
{
  uj_driver_poll(S->driver);
  if (S->is_virtual)
    jump_if_restless(S, guests);
  if (uj_lcrew_takes_turns(S))
    uj_together_pass(S);
}

/* I/O that arrived while we were not polling (the process may have been
 * stopped) counts as having arrived before any deadline that has since expired.
 * So when a deadline has passed, there is one look more; and what passes after
 * this reading of the clock waits for the next turn, however late this one is.
 */
static void run_late_guests(struct uj_state *S, lua_State *L)
{
  uint64_t now_ns;
  if (S->is_virtual)
    return;
  now_ns = uj_driver_now();
  S->loop.latest_ns = now_ns;
  if (uj_timers_due(&S->loop.timers) > now_ns)
    return;
  if (S->luv->is_driven)
    uj_driver_poll(S->driver);
  uj_guests_run_seen(S, L);
}

void uj_poll(struct uj_state *S, lua_State *L)
{
  bool guests;
  S->pace->polled_ns = uj_driver_now();
  uj_insight_note_time(S, false);
  uj_ending_pass_time(S);
  uj_children_retry(S, L);
  uj_guests_find(S, L);
  uj_guests_run(S, L);
  guests = uj_guests_alive(S, L);
  if (uj_loop_ready(&S->loop))
    poll_on_the_way(S, guests);
  else
    wait(S, L, guests);
  uj_ending_pass_time(S);
  run_late_guests(S, L);
  uj_work_wake_ended(S);
  uj_services_hear(S, L);
  uj_channels_hear(S);
  uj_date_look(S, S->date);
  uj_guests_update_time(S, L);
  if (uj_state_has_error(S) && S->main != NULL)
    uj_job_cancel(&S->main->core);
  uj_ending_take_signal(S);
  uj_interrupt_insist(S);
  uj_insight_note_time(S, true);
  uj_dumping_look(S, L);
  (void)uj_inspecting_look(S, L);
  uj_together_tell(S, L);
}
