/* The records of a crew and of its members, for crew.c and turns.c. */
#ifndef UJ_CREW_RECORD_H
#define UJ_CREW_RECORD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/link.h"
#include "crew/host.h"
#include "random/random.h"

struct uj_crew;
struct uj_member;

enum uj_member_state {
  UJ_MEMBER_RUNS,     /* and has the turn, where they take turns */
  UJ_MEMBER_RESTS,    /* on the real clock */
  UJ_MEMBER_READY,    /* in turns, as what follows: it was not done */
  UJ_MEMBER_WAITS,    /* for news, or until due_ns */
  UJ_MEMBER_AWAITS,   /* that `awaited` leaves */
  UJ_MEMBER_COLLECTS, /* the texts of the others */
  UJ_MEMBER_LEFT
};

/* Everything is under the lock, but what never changes and what is atomic. The
 * last member frees it. */
struct uj_crew {
  pthread_mutex_t lock;
  unsigned nforks;        /* when it was founded */
  size_t refs;            /* members that are not freed */
  struct uj_link members; /* of uj_member::link: who has not left */
  size_t nmembers,
      nresting; /* how many of these there are, and how many rest */
  unsigned last_number;
  struct uj_member *founder;    /* NULL when it has left */
  bool is_fed;                  /* others can send something: never stuck */
  enum uj_crew_verdict verdict; /* that the founder is to hear */
  atomic_bool asks;             /* each member is to tell its text */

  /* Since uj_turns_begin(): nobody has the turn, so it is given to the next.
     NULL where the members take no turns. */
  void (*give_turn)(struct uj_crew *self);
  bool shuffles;
  struct uj_random random;
  struct uj_member *turn; /* who has it; NULL while all wait for the outside */
  struct uj_link *last;   /* the link of who had it last, or the head */
  uint64_t now_ns;
  int64_t date_ns;
};

struct uj_member {
  struct uj_link link; /* in uj_crew::members until it leaves */
  struct uj_crew *crew;
  unsigned number;
  uint64_t seed;
  pthread_cond_t changed; /* it has the turn, or what it collects is there */
  struct uj_member_host host;
  enum uj_member_state state;
  uint64_t due_ns; /* this and the next two: see struct uj_pass */
  bool is_outside;
  enum uj_member_limits limits; /* while it rests or waits */
  bool is_listening;
  int64_t date_ns;           /* the date that it knows */
  struct uj_member *awaited; /* borrowed */
  bool has_told;
  char *text; /* of malloc(): what it has told; or NULL */
};

static inline struct uj_member *uj_member_at(struct uj_link *link)
{
  return uj_container(link, struct uj_member, link);
}

static inline bool uj_member_has_news(const struct uj_member *self)
{
  return self->host.has_news != NULL && self->host.has_news(self->host.arg);
}

/* What holds when nobody can go on, and none waits for the outside. Who waits
 * for more than limits has a time, which is no concern of this. */
static inline enum uj_crew_verdict uj_crew_judge(const struct uj_crew *crew)
{
  struct uj_link *link = crew->members.next;
  enum uj_crew_verdict verdict = UJ_CREW_IS_STUCK;
  if (crew->founder == NULL || crew->is_fed)
    return UJ_CREW_GOES_ON;
  for (; link != &crew->members; link = link->next)
    if (uj_member_at(link)->limits != UJ_MEMBER_HAS_NONE)
      verdict = UJ_CREW_IS_LIMITED;
  if (verdict == UJ_CREW_IS_LIMITED &&
      crew->founder->limits == UJ_MEMBER_HAS_TOLD)
    return UJ_CREW_GOES_ON;
  return verdict;
}

static inline bool uj_member_must_tell(const struct uj_member *self)
{
  return self->crew->asks && !self->has_told && self->host.wake != NULL &&
         self != self->crew->founder;
}

/* Whether all have told what they were asked. */
static inline bool uj_crew_has_told(const struct uj_crew *crew)
{
  struct uj_link *link = crew->members.next;
  for (; link != &crew->members; link = link->next)
    if (uj_member_must_tell(uj_member_at(link)))
      return false;
  return true;
}

#endif
