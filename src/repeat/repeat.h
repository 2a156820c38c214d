/* Repetitions: a schedule, and what is to happen at its times on a scheduler.
 *
 * A repetition waits in the agenda for the next of its times. When that has
 * come, the host is asked to start an occurrence, which is a job. Rules say
 * what happens when the last occurrence still runs (overlap), and when several
 * times have passed at once or one is long past (misfire): the process was
 * stopped, the machine slept, or the date was set.
 *
 * Times are seconds since 1970. The next time follows from the last one that
 * was dealt with, never from the clock, so no time comes twice (R6), however
 * early a timer is and however far the date goes back.
 *
 * This is plain C: the date, the alarm and the jobs are the host's. */
#ifndef UJ_REPEAT_REPEAT_H
#define UJ_REPEAT_REPEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calendar/schedule.h"
#include "core/sched.h"
#include "random/random.h"
#include "repeat/agenda.h"

struct uj_repeat;
struct uj_repeats;

/* A time is missed when nobody has looked for so long after it; less than that
 * is only late. */
#define UJ_REPEAT_LATE_S 1.0

/* So many times of a repetition can wait for their turn. */
#define UJ_REPEAT_WAITING_MAX 10000

/* What becomes of a time that comes while an occurrence runs. */
enum uj_overlap {
  UJ_OVERLAP_SKIP,   /* it is dropped */
  UJ_OVERLAP_ONE,    /* it waits; it is dropped if another waits already */
  UJ_OVERLAP_ALL,    /* it waits */
  UJ_OVERLAP_CANCEL, /* what runs is closed, and what waits is dropped */
  UJ_OVERLAP_ALLOW   /* it runs beside the other one */
};

/* Which of the times run that were missed. */
enum uj_misfire { UJ_MISFIRE_SKIP, UJ_MISFIRE_LATEST, UJ_MISFIRE_ALL };

/* What became of an attempt to start an occurrence. */
enum uj_occurred {
  UJ_OCCURRED_STARTED,
  UJ_OCCURRED_WAITS,    /* for those before it */
  UJ_OCCURRED_OVERLAPS, /* it was dropped, because another one runs */
  UJ_OCCURRED_FULL,     /* the scheduler has no room for it */
  UJ_OCCURRED_MISSED,
  UJ_OCCURRED_CLOSED
};

struct uj_repeat_host {
  /* The date. */
  double (*date)(struct uj_repeats *repeats);
  /* uj_repeats_ring() is to be called at a date; INFINITY for not at all. */
  void (*set_alarm)(struct uj_repeats *repeats, double date_s);
  /* The schedule, with the rules of its zones as they are now. */
  const struct uj_schedule *(*schedule)(struct uj_repeat *repeat);
  /* Starts an occurrence for a time that is so many seconds past. If it was
   * UJ_OCCURRED_STARTED, uj_repeat_ended() must follow when it has ended. */
  enum uj_occurred (*start)(struct uj_repeat *repeat, double time_s,
                            double late_s);
  /* Closes the occurrence that runs. It does not wait. */
  void (*cancel)(struct uj_repeat *repeat);
  /* The first of a row of times has been dropped, for this reason. */
  void (*dropped)(struct uj_repeat *repeat, enum uj_occurred why,
                  double time_s);
  /* It will never do anything any more, and nothing here refers to it. */
  void (*over)(struct uj_repeat *repeat);
};

/* The repetitions of a loop. */
struct uj_repeats {
  const struct uj_repeat_host *host;
  struct uj_agenda agenda;  /* of uj_repeat::entry */
  struct uj_random *random; /* for jitter; the caller's */
  bool rings; /* uj_repeats_ring() is at work: it sets the alarm */
};

/* The rules of a repetition. */
struct uj_repeat_rules {
  enum uj_overlap overlap;
  enum uj_misfire misfire;
  uint32_t misfire_limit; /* of MISFIRE_ALL: so many of the latest */
  double misfire_grace_s; /* what was missed longer ago does not run */
  double jitter_s;        /* an occurrence is late by up to this, at random */
  bool pauses_on_error;
};

/* Owned by its Lua userdata, which the host keeps until `over`. */
struct uj_repeat {
  struct uj_entry entry;         /* in uj_repeats::agenda while it waits */
  struct uj_dependant dependant; /* of its scheduler, until it is closed */
  struct uj_repeats *repeats;    /* borrowed */
  struct uj_repeat_rules rules;
  double last_s;   /* the last time that was dealt with, or the beginning */
  double next_s;   /* the time after that; INFINITY when there is none */
  double start_s;  /* when it is to start: later than next_s by the jitter */
  double ran_s;    /* the time of the last occurrence; -INFINITY for none */
  double *waiting; /* times that wait, a ring; owned */
  uint32_t first, nwaiting, room;
  uint32_t running; /* occurrences that run */
  uint64_t runs;    /* that were ever started */
  uint64_t missed;  /* times that misfire has dropped */
  uint64_t skipped; /* times that were dropped for another reason */
  bool paused;
  bool closed; /* no occurrence starts any more */
  bool over;   /* and none runs, so the host has been told */
  bool drops;  /* the last time was dropped: the host hears only of the first
                  one of such a row */
  bool busy;   /* one of the functions below is at work on it */
};

void uj_repeats_init(struct uj_repeats *repeats,
                     const struct uj_repeat_host *host,
                     struct uj_random *random);

/* Does what is due. */
void uj_repeats_ring(struct uj_repeats *repeats);
/* The date has been set: the alarm follows. */
void uj_repeats_set_alarm(struct uj_repeats *repeats);
/* Whether any repetition waits for a date. */
static inline bool uj_repeats_wait(const struct uj_repeats *repeats)
{
  return repeats->agenda.first != NULL;
}

/* Begins with the first time after `since_s`. With no such time it is over at
 * once. */
void uj_repeat_start(struct uj_repeat *repeat, struct uj_repeats *repeats,
                     struct uj_sched *sched,
                     const struct uj_repeat_rules *rules, double since_s);

/* Frees what it has; for the end of the Lua state as well. */
void uj_repeat_term(struct uj_repeat *repeat);

/* Starts an occurrence now, as if a time had come; also while it is paused. */
enum uj_occurred uj_repeat_trigger(struct uj_repeat *repeat);

/* While it is paused its times pass, and are counted nowhere. What waits is
 * dropped. */
void uj_repeat_pause(struct uj_repeat *repeat);
void uj_repeat_resume(struct uj_repeat *repeat);

/* Nothing starts any more. What runs goes on. */
void uj_repeat_close(struct uj_repeat *repeat);

/* An occurrence that was started has ended. */
void uj_repeat_ended(struct uj_repeat *repeat, bool failed);

#endif
