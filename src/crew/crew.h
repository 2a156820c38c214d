/* A crew: the loops of a program and of its workers, each in a thread of its
 * own. It knows what no loop can know alone: whether all of them wait for each
 * other and, under the virtual clock, whose turn it is. It knows neither Lua
 * nor jobs, and a loop is no more to it than a member.
 *
 * On the real clock all members run at once. A member rests while it waits for
 * nothing but news of other members: it has no timer, and no I/O. When all rest
 * and none has news, the crew is stuck, because only a member that runs could
 * make news. This is never said too early:
 *   - what is sent is news of the receiver before the sender can rest, so that
 *     no message is under way unseen;
 *   - a member that is being woken has news, until it has risen;
 *   - who rests and rises, and that all rest, is decided under one lock.
 * It is not missed, either: whoever rests last looks, and so does who leaves.
 * A member may rest that has nothing but limits, which end waits in vain. Then
 * the founder hears that these are all that is left.
 *
 * On the virtual clock the members take turns, see turns.h.
 *
 * The first member is the founder: the loop of the program, which hears that
 * the crew is stuck. */
#ifndef UJ_CREW_CREW_H
#define UJ_CREW_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "crew/host.h"

struct uj_member;

/* Founds a crew of one member, for the calling thread. Its memory belongs to
 * the caller, who gives it back by uj_member_leave() and uj_member_free(). With
 * `is_fed` somebody outside of the crew can send something to any member at any
 * time: so it is never stuck. Returns NULL without memory. */
struct uj_member *uj_crew_found(bool is_fed);
/* Adds a member for a thread that is about to be made. Returns NULL without
 * memory. */
struct uj_member *uj_crew_add(struct uj_member *by);
/* The thread of the member ends, or is not made after all: it runs nothing any
 * more. Called by that thread, as the last that it does. */
void uj_member_leave(struct uj_member *self);
/* The same thread has ended. */
void uj_member_free(struct uj_member *self);

/* Whether the process was not forked since: in the child of a fork a crew is
 * of no use, and nothing else may be called but uj_member_free(). */
bool uj_member_is_here(const struct uj_member *self);
bool uj_member_is_founder(const struct uj_member *self);
/* 1 for the first member that was added, and so on; 0 for the founder. */
unsigned uj_member_number(const struct uj_member *self);

/* From now on this is its loop. */
void uj_member_set_host(struct uj_member *self,
                        const struct uj_member_host *host);

/* The member waits for nothing but news and limits, and calls this before it
 * looks for them the last time. When the crew is stuck the founder is woken;
 * also if only limits are left, unless it has told of them. */
void uj_member_rest(struct uj_member *self, enum uj_member_limits limits);
/* It has been woken, or has not rested at all. Tells the founder how the crew
 * stands, once; all others, that it goes on. */
enum uj_crew_verdict uj_member_rise(struct uj_member *self);

/* Asks each member that has a loop for a text, and returns all of them in the
 * order of their numbers, in memory of malloc(); NULL without memory. The
 * founder calls it when the crew is stuck. On the real clock it waits for so
 * many seconds: a member may have been woken by somebody outside of the crew,
 * and does not answer. */
char *uj_crew_collect(struct uj_member *founder, unsigned patience_s);
/* Whether the member is asked for its text. */
bool uj_member_is_asked(struct uj_member *self);
/* Its text, in memory of malloc(), which is taken over; or NULL. */
void uj_member_tell(struct uj_member *self, char *text);

#endif
