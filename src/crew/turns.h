/* The members of a crew take turns: one of them runs at a time, and all have
 * the same clock, which is virtual. So what they do is one sequence of events,
 * which is the same each time.
 *
 * A member has its turn until it passes it on: after a turn of its loop, or
 * when it waits. The next one is drawn, or taken in order, from those that can
 * go on: because they were not done, have news, or their time has come. When
 * there is none, the clock moves to the first time that a member waits for.
 *
 * A member that waits for something outside of the crew has no turn meanwhile,
 * and the clock stands still. When that has come it asks for a turn. */
#ifndef UJ_CREW_TURNS_H
#define UJ_CREW_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "crew/crew.h"

/* The founder of a crew, which has no other members yet, has the first turn, at
 * this time and date. With `shuffles` the next member is drawn, otherwise they
 * go in order. */
void uj_turns_begin(struct uj_member *founder, uint64_t now_ns, int64_t date_ns,
                    bool shuffles, uint64_t seed);
bool uj_turns_are_taken(const struct uj_member *self);

/* What is random in the loop of the member. */
bool uj_turns_shuffle(const struct uj_member *self);
uint64_t uj_member_seed(const struct uj_member *self);

/* How a member passes its turn on. */
struct uj_pass {
  uint64_t now_ns; /* its time: the others have it from now on */
  uint64_t due_ns; /* when it goes on if there is no news; no later than now: it
                      was not done */
  enum uj_member_limits limits; /* what due_ns is, if no job waits for that */
  bool is_outside;              /* it waits for something outside of the crew */
  bool is_listening; /* the host wakes it when it has the turn again, unless it
                        asks before; otherwise it calls uj_turns_take() */
};
void uj_turns_pass(struct uj_member *self, const struct uj_pass *pass);
/* Waits for the turn. A member that has a thread begins with that. */
void uj_turns_take(struct uj_member *self);
/* Whether the member has it. */
bool uj_turns_has(struct uj_member *self);
/* Something outside has happened: the member goes on when it has the turn, and
 * does not listen any more. */
void uj_turns_ask(struct uj_member *self);
/* The same if it may have happened to another member. */
void uj_turns_look(struct uj_member *self);
/* Passes the turn on until the other has left. Without effect when the members
 * take no turns, or it is not the turn of this one. */
void uj_turns_await_leave(struct uj_member *self, struct uj_member *other);

/* How the crew stands, if the founder has its turn because of that; once. */
enum uj_crew_verdict uj_turns_verdict(struct uj_member *member);

/* The time of the crew, and its date at the time 0. */
uint64_t uj_turns_now(struct uj_member *self);
int64_t uj_turns_date(struct uj_member *self);
/* Sets the date for all: each has a turn to see that. */
void uj_turns_set_date(struct uj_member *self, int64_t date_ns);

/* When the first of the other members goes on; UJ_NEVER when only news can make
 * one go on, and 0 when one can already. */
uint64_t uj_turns_due(struct uj_member *self);

#endif
