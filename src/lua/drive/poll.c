#include "lua/drive/poll.h"

#include "core/end.h"
#include "core/turn.h"
#include "loop/driver.h"
#include "lua/api/date.h"
#include "lua/api/work.h"
#include "lua/channel/hear.h"
#include "lua/drive/guests.h"
#include "lua/drive/luv.h"
#include "lua/drive/stuck.h"
#include "lua/engine/dumping.h"
#include "lua/engine/ending.h"
#include "lua/engine/inspecting.h"
#include "lua/engine/interrupt.h"
#include "lua/insight/glance.h"
#include "lua/measure/meter.h"
#include "lua/service/service.h"
#include "lua/state/job.h"
#include "lua/state/unseen.h"
#include "lua/supervisor/children.h"

/* While jobs are ready, a poll can be late by as much more for each job that
 * lives, and by so much at most: see UJ_POLL_NS. */
#define POLL_JOB_NS UINT64_C(20)
#define POLL_MAX_NS UINT64_C(1000000)

/* ---- polling between two turns ------------------------------------------- */

/* Waits in real time for the guests, the threads of work(), a signal, or the
 * time. */
static void wait_for_io(struct uj_state *S, lua_State *L, uint64_t due_ns)
{
  int fd;
  due_ns = uj_clock_min(due_ns, uj_guests_due(S, L, &fd));
  uj_driver_watch(S->driver, UJ_GUEST_LUV, fd);
  if (uj_services_have_news(S)) /* a poll may have noted the wake */
    due_ns = 0;
  if (!uj_channels_sleep(S))
    due_ns = 0;
  uj_watch_sleep(&S->watch);
  uj_driver_wait(S->driver, due_ns);
  uj_watch_wake(&S->watch);
  uj_channels_wake_up(S);
}

static uint64_t next_poll(const struct uj_state *S)
{
  uint64_t span_ns = UJ_POLL_NS + uj_unseen_count_jobs(S) * POLL_JOB_NS;
  return S->pace->polled_ns + uj_clock_min(span_ns, POLL_MAX_NS);
}

/* Nothing can ever wake a job again. All jobs are ended, by force if need be,
 * and run() raises the error. */
static void give_up(struct uj_state *S, lua_State *L)
{
  uj_stuck_push_error(S, L);
  uj_state_keep_error(S, L);
  uj_loop_close(&S->loop, S->main->core.sched->close_ns);
}

/* A virtual clock that jumps waits for nothing: so signals, which cost a system
 * call, are polled on the way only as often as in real time. */
static void poll_signals(struct uj_state *S)
{
  uint64_t ticks = uj_driver_ticks();
  if (ticks != 0 && ticks - S->pace->clock_ticks < UJ_POLL_TICKS)
    return;
  S->pace->clock_ticks = ticks;
  uj_driver_poll(S->driver);
}

/* Until when the virtual clock waits for I/O: for ever, unless the run is to
 * end. */
static uint64_t real_due(const struct uj_state *S, uint64_t due_ns)
{
  if (!S->ending->forces || due_ns == UJ_NEVER)
    return UJ_NEVER;
  return uj_clock_add(S->ending->real_ns,
                      due_ns - uj_clock_min(S->virtual_ns, due_ns));
}

/* Tells of jobs that only a limit can wake, if there are any. Returns whether
 * that has made a job ready. */
static bool is_told_stuck(struct uj_state *S, lua_State *L)
{
  uj_stuck_report(S, L);
  return uj_loop_ready(&S->loop);
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
  else if (!S->is_virtual)
    wait_for_io(S, L, uj_clock_max(due_ns, next_poll(S)));
  else if (io)
    wait_for_io(S, L, real_due(S, due_ns));
  else {
    poll_signals(S);
    S->virtual_ns = due_ns;
  }
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
  if (pace->still_ns != S->virtual_ns || guests || S->work->waiting > 0) {
    pace->still_ns = S->virtual_ns;
    pace->still_turns = S->loop.turns;
  } else if (S->loop.turns - pace->still_turns >= pace->restless_turns) {
    due_ns = uj_timers_due(&S->loop.timers);
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
}
