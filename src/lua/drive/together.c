#include "lua/drive/together.h"

#include "core/clock.h"
#include "core/turn.h"
#include "loop/driver.h"
#include "loop/signals.h"
#include "lua/api/closing.h"
#include "lua/api/date.h"
#include "lua/api/work.h"
#include "lua/channel/hear.h"
#include "lua/drive/outside.h"
#include "lua/drive/pace.h"
#include "lua/drive/stuck.h"
#include "lua/engine/ending.h"
#include "lua/service/crew.h"
#include "lua/service/service.h"

/* ---- the clock ----------------------------------------------------------- */

void uj_together_set_options(const struct uj_state *S,
                             struct uj_run_options *options)
{
  struct uj_member *member = S->member;
  if (member == NULL || !uj_turns_are_taken(member))
    return;
  options->is_virtual = true;
  options->loop.shuffles = uj_turns_shuffle(member);
  options->loop.seed = uj_member_seed(member);
  options->has_random = true;
  options->random = uj_member_seed(member);
}

uint64_t uj_together_now(const struct uj_state *S)
{
  struct uj_member *member = S->member;
  return member != NULL && uj_turns_are_taken(member) ? uj_turns_now(member)
                                                      : 0;
}

void uj_together_begin(struct uj_state *S)
{
  uj_lcrew_begin(S);
  if (uj_lcrew_member(S) == NULL || !S->is_virtual)
    return;
  S->date->base_ns = uj_turns_date(S->member);
}

/* ---- what it waits for --------------------------------------------------- */

bool uj_together_is_outside(const struct uj_state *S, bool guests)
{
  if (uj_lcrew_member(S) == NULL)
    return guests || S->work->waiting > 0;
  return guests || S->work->waiting > S->services->ninner ||
         uj_work_count(S) > 0;
}

uint64_t uj_together_due(const struct uj_state *S, uint64_t due_ns)
{
  struct uj_member *member = uj_lcrew_member(S);
  if (member == NULL || !S->is_virtual)
    return due_ns;
  return uj_clock_min(due_ns, uj_turns_due(member));
}

/* Whether `due_ns` is nothing but the limit of a wait for a scheduler. It was
 * told of if no job has run since. */
static enum uj_member_limits limits_of(struct uj_state *S, uint64_t due_ns)
{
  if (due_ns == UJ_NEVER || S->closing->nlimited == 0 ||
      !uj_loop_waits_for_limits(&S->loop))
    return UJ_MEMBER_HAS_NONE;
  return S->pace->told_runs == uj_watch_count_runs(&S->watch)
             ? UJ_MEMBER_HAS_TOLD
             : UJ_MEMBER_HAS_LIMITS;
}

/* ---- turns --------------------------------------------------------------- */

static void take_up(struct uj_state *S, struct uj_member *member)
{
  S->virtual_ns = uj_clock_max(S->virtual_ns, uj_turns_now(member));
  uj_date_follow(S, uj_turns_date(member));
}

/* The thread does nothing else until it has its turn. */
static void take_turn(struct uj_state *S, struct uj_member *member)
{
  uj_watch_sleep(&S->watch);
  uj_turns_take(member);
  uj_watch_wake(&S->watch);
}

void uj_together_pass(struct uj_state *S)
{
  struct uj_member *member = S->member;
  struct uj_pass pass = {.now_ns = S->virtual_ns, .due_ns = 0};
  uj_turns_pass(member, &pass);
  if (!uj_turns_has(member))
    take_turn(S, member);
  take_up(S, member);
}

/* Whether the loop has to go on, other than because its wait was ended in vain.
 */
static bool has_reason(const struct uj_state *S, bool is_outside)
{
  return is_outside || S->ending->forces || uj_services_have_news(S) ||
         uj_channels_have_news(S) ||
         uj_signals_wait_for_taker(uj_driver_signals(S->driver));
}

/* Until when the loop listens to the outside: see uj_outside_due(). The time of
 * the others passes with it. */
static uint64_t until(const struct uj_state *S, uint64_t due_ns)
{
  return S->ending->forces ? uj_outside_due(S, uj_together_due(S, due_ns))
                           : UJ_NEVER;
}

/* The others have their turns, while this loop listens to the outside. */
static void listen(struct uj_state *S, lua_State *L, struct uj_member *member,
                   uint64_t due_ns, bool is_outside)
{
  while (!uj_turns_has(member)) {
    uj_outside_wait(S, L, until(S, due_ns));
    uj_turns_look(member);
    if (!has_reason(S, is_outside))
      continue;
    uj_turns_ask(member);
    take_turn(S, member);
  }
}

static enum uj_crew_verdict wait_in_turn(struct uj_state *S, lua_State *L,
                                         struct uj_member *member,
                                         uint64_t due_ns, bool is_outside)
{
  struct uj_pass pass = {.now_ns = S->virtual_ns,
                         .due_ns = due_ns,
                         .limits = limits_of(S, due_ns),
                         .is_outside = is_outside,
                         .is_listening = true};
  uj_outside_poll(S);
  uj_turns_pass(member, &pass);
  listen(S, L, member, due_ns, is_outside);
  take_up(S, member);
  return uj_turns_verdict(member);
}

/* ---- the real clock ------------------------------------------------------ */

static enum uj_crew_verdict wait_beside(struct uj_state *S, lua_State *L,
                                        struct uj_member *member,
                                        uint64_t due_ns, bool is_outside)
{
  enum uj_member_limits limits = limits_of(S, due_ns);
  bool rests =
      !is_outside && (due_ns == UJ_NEVER || limits != UJ_MEMBER_HAS_NONE);
  if (rests)
    uj_member_rest(member, limits);
  uj_outside_wait(S, L, uj_clock_max(due_ns, uj_pace_next(S)));
  return rests ? uj_member_rise(member) : UJ_CREW_GOES_ON;
}

enum uj_crew_verdict uj_together_wait(struct uj_state *S, lua_State *L,
                                      uint64_t due_ns, bool guests)
{
  struct uj_member *member = S->member;
  bool is_outside = uj_together_is_outside(S, guests);
  if (S->is_virtual)
    return wait_in_turn(S, L, member, due_ns, is_outside);
  return wait_beside(S, L, member, due_ns, is_outside);
}

/* ---- a stuck crew -------------------------------------------------------- */

void uj_together_tell(struct uj_state *S, lua_State *L)
{
  struct uj_member *member = uj_lcrew_member(S);
  if (member != NULL && uj_member_is_asked(member))
    uj_member_tell(member, uj_stuck_text(S, L));
}
