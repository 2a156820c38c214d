/* The loop of the core: which jobs are ready, which deadlines run, what time
 * it is. It does not wait for anything itself: a driver calls uj_loop_turn()
 * and sleeps until uj_loop_due() in between. The real and the virtual clock
 * are two drivers of the same loop.
 *
 * A turn runs the jobs that were ready when it began and no others, so that
 * no chain of ready jobs starves deadlines or I/O (M11).
 *
 * A job that is preempted ends the turn: deadlines and I/O have waited for it
 * long enough. The next turns run those that were left, as if nothing had
 * happened. When they have all run, one of the preempted jobs has a turn to
 * itself; so each of them waits until all that were ready before it have run,
 * and those that suspend by themselves wait for one busy job at most. */
#ifndef UJ_CORE_LOOP_H
#define UJ_CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/job.h"
#include "core/link.h"
#include "core/timers.h"

struct uj_loop;

/* What the core needs of the world. */
struct uj_host {
  /* The monotonic clock; it never goes back. */
  uint64_t (*now)(struct uj_loop *loop);
  /* Runs a job until it suspends (UJ_JOB_ACTIVE) or ends (its last state).
   * The reason is in job->wake. */
  enum uj_job_state (*resume)(struct uj_loop *loop, struct uj_job *job);
  /* Ends a suspended job by force. */
  void (*kill)(struct uj_loop *loop, struct uj_job *job);
  /* The job ended and nothing in the core refers to it any more. */
  void (*ended)(struct uj_loop *loop, struct uj_job *job);
  /* The first job is ready since uj_loop::asleep was set; it is reset. May be
   * NULL for a host that never sets it. */
  void (*wake)(struct uj_loop *loop);
};

/* Embedded in the host's own state. */
struct uj_loop {
  const struct uj_host *host;
  struct uj_link ready;     /* of uj_job::queue: to run when the batch has */
  struct uj_link batch;     /* of uj_job::queue: to run now, in one turn if no
                               job is preempted */
  struct uj_link preempted; /* of uj_job::queue: since the batch was made */
  struct uj_link busy;      /* of uj_job::queue: preempted before that */
  struct uj_link scheds;    /* of uj_sched::link */
  struct uj_link locked;    /* of uj_mutex::locked */
  struct uj_timers timers;
  uint64_t last_id;
  uint64_t nabandoning; /* jobs that are ready and have a uj_job::on_abandon */
  uint64_t spawned;     /* jobs that were admitted */
  uint64_t turns;
  uint64_t preemptions;
  uint64_t latest_ns; /* it is not later than that when the next turn begins;
                         or UJ_NEVER: nobody has told */
  uint64_t seed;      /* of the order in which a batch runs, if `shuffles` */
  bool shuffles;  /* that order is random, for tests; otherwise first come */
  bool busy_next; /* the batch has run: it is the turn of a busy job */
  bool asleep;    /* nobody takes turns until host->wake() was called */
};

void uj_loop_init(struct uj_loop *loop, const struct uj_host *host);

static inline uint64_t uj_loop_now(struct uj_loop *loop)
{
  return loop->host->now(loop);
}

/* Lets the deadlines expire that have passed, then runs what is ready. The host
 * can spare it the clock by setting uj_loop::latest_ns before. */
void uj_loop_turn(struct uj_loop *loop);

/* Lets the deadlines expire that have passed, while a job runs and holds the
 * loop: no other job runs, but what those that are ready again are sure to
 * close is closed. Returns whether a deadline has passed. */
bool uj_loop_overrun(struct uj_loop *loop);

static inline bool uj_loop_ready(const struct uj_loop *loop)
{
  return !uj_link_empty(&loop->ready) || !uj_link_empty(&loop->batch) ||
         !uj_link_empty(&loop->busy) || !uj_link_empty(&loop->preempted);
}

/* Puts a job that is in no queue at the end of those that are ready. */
static inline void uj_loop_add_ready(struct uj_loop *loop, struct uj_job *job)
{
  job->place = UJ_AT_READY;
  uj_link_append(&loop->ready, &job->queue);
  if (loop->asleep) {
    loop->asleep = false;
    loop->host->wake(loop);
  }
}

/* The number of jobs that are ready. */
uint64_t uj_loop_count_ready(const struct uj_loop *loop);

/* The time of the next turn: 0 when jobs are ready, UJ_NEVER when nothing but
 * a call from outside can bring one. */
uint64_t uj_loop_due(struct uj_loop *loop);

/* Closes every scheduler, also one that is closed already: its jobs get
 * `span_ns` at most. */
void uj_loop_close(struct uj_loop *loop, uint64_t span_ns);
/* Closes those that are open. */
void uj_loop_close_open(struct uj_loop *loop);

/* Whether any job is left. */
bool uj_loop_live(const struct uj_loop *loop);

/* Asserts the invariants of everything that hangs on the loop. */
void uj_loop_check(const struct uj_loop *loop);

#endif
