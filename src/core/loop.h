/* The record of a loop: which jobs are ready, which timers run, what time it
 * is. turn.h runs the jobs.
 *
 * The loop never waits. A driver calls uj_loop_turn() and sleeps until
 * uj_loop_due() in between; the real and the virtual clock are two drivers of
 * the same loop. The world reaches the core through struct uj_host. */
#ifndef UJ_CORE_LOOP_H
#define UJ_CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/life.h"
#include "core/link.h"
#include "core/pqueue.h"
#include "core/seldom.h"
#include "core/timers.h"

struct uj_job;
struct uj_loop;

/* What the core needs of the world. */
struct uj_host {
  /* The monotonic clock, which never goes back. */
  uint64_t (*now)(struct uj_loop *loop);
  /* Runs a job until it suspends (then returns UJ_JOB_ACTIVE) or ends (then
   * returns its last state). uj_job::wake says why it runs. */
  enum uj_job_state (*resume)(struct uj_loop *loop, struct uj_job *job);
  /* Ends a suspended job by force. */
  void (*kill)(struct uj_loop *loop, struct uj_job *job);
  /* The job has ended and nothing in the core refers to it: it may be freed. */
  void (*ended)(struct uj_loop *loop, struct uj_job *job);
  /* The time of a job is over that waited for a scheduler, which is about to be
   * closed on its behalf (uj_job::on_abandon). It may be NULL. */
  void (*late)(struct uj_loop *loop, struct uj_job *job);
  /* A job has become ready while UJ_HEED_ASLEEP was set; the flag is clear
   * again. It may be NULL for a host that never sets the flag. */
  void (*wake)(struct uj_loop *loop);
  /* A job has become ready, other than by being preempted. It may be NULL for a
   * host that never sets UJ_HEED_READY. */
  void (*ready)(struct uj_loop *loop, struct uj_job *job);
  /* How long a job gets to end whose waiter has abandoned it. It may be NULL:
   * then that is up to its scheduler. */
  uint64_t (*grace_ns)(struct uj_loop *loop, struct uj_job *job);
  /* uj_loop::alarm has gone off: called at the beginning of a turn, before jobs
   * run. It may be NULL for a host that never sets the alarm. */
  void (*alarm)(struct uj_loop *loop);
  /* Where the rank of a job is that has one, from its struct uj_job on. */
  size_t rank_offset;
};

/* uj_loop::heeds: what the host wants to know when a job becomes ready. One
 * comparison tells that it is nothing, as nearly always. */
enum {
  UJ_HEED_ASLEEP = 1, /* the driver sleeps until host->wake() is called */
  UJ_HEED_READY = 2   /* host->ready() is called */
};

/* Embedded in the host's own state. The lists borrow what they link. A ready
 * job is in one of the first four. */
struct uj_loop {
  const struct uj_host *host;
  struct uj_link ready;     /* of uj_job::queue: run after the batch */
  struct uj_link batch;     /* of uj_job::queue: run now, within one turn unless
                               a job is preempted */
  struct uj_link preempted; /* of uj_job::queue: preempted in this batch */
  struct uj_link busy;      /* of uj_job::queue: preempted in earlier ones */
  struct uj_link scheds;    /* of uj_sched::link: every scheduler */
  uint64_t nscheds;         /* how many it has ever had */
  struct uj_job *covered;   /* on top of which others run, and which is in line
                               to go on, by its `queue`; or NULL */
  struct uj_link locked;    /* of uj_mutex::locked: mutexes with an owner */
  struct uj_timers timers;  /* of uj_job::timer: one for each timed wait; and
                               the alarm */
  struct uj_timer alarm;    /* for what is no job: see uj_loop_set_alarm() */
  struct uj_timer bell;     /* for the first of `bells` */
  struct uj_pqueue bells; /* of uj_order::bell: schedulers whose rate of starts
                             allows no more now, by when it does again */
  uint64_t last_id;       /* of uj_job::id */
  uint64_t nabandoning;   /* ready jobs with a uj_job::on_abandon */
  uint64_t spawned;       /* jobs that were ever admitted */
  uint64_t turns;         /* that were ever taken */
  uint64_t preemptions;   /* that ever happened */
  uint64_t covers;        /* how often a job was covered */
  uint64_t latest_ns;     /* the next turn begins no later than this, so it
                             need not read the clock if no timer is due by
                             then. What is due later has its turn later, so
                             that the driver can look at I/O first. UJ_NEVER
                             if the driver cannot say */
  uint64_t seed;  /* of the random order, moved on by each batch; valid only
                     with `shuffles` */
  bool shuffles;  /* a batch runs in a random order, for tests */
  bool busy_next; /* the batch has run, so it is the turn of a busy job, if
                     there is one */
  uint8_t heeds;  /* a set of the above */
};

void uj_loop_init(struct uj_loop *loop, const struct uj_host *host);

/* The driver sleeps, or does not. */
static inline void uj_loop_set_asleep(struct uj_loop *loop, bool asleep)
{
  loop->heeds = (uint8_t)((loop->heeds & ~UJ_HEED_ASLEEP) |
                          (asleep ? UJ_HEED_ASLEEP : 0));
}

/* For uj_job_make_ready(): the host wants to know that the job is ready. */
UJ_SELDOM void uj_loop_heed(struct uj_loop *loop, struct uj_job *job);

static inline uint64_t uj_loop_now(struct uj_loop *loop)
{
  return loop->host->now(loop);
}

/* Calls host->alarm() once, in the first turn that begins at `due_ns` or later;
 * UJ_NEVER for not at all. It takes the place of the time that was set before.
 * There is one alarm, so that a timer needs no field that says whose it is:
 * what has many times of its own sets the alarm to the first of them. */
void uj_loop_set_alarm(struct uj_loop *loop, uint64_t due_ns);

/* Adds or removes a node of uj_loop::bells. */
void uj_loop_add_bell(struct uj_loop *loop, struct uj_pnode *bell,
                      uint64_t due_ns);
void uj_loop_remove_bell(struct uj_loop *loop, struct uj_pnode *bell);
/* Arms the timer for the first of them. */
void uj_loop_set_bell(struct uj_loop *loop);

/* Whether any job is ready. */
static inline bool uj_loop_ready(const struct uj_loop *loop)
{
  return !uj_link_empty(&loop->ready) || !uj_link_empty(&loop->batch) ||
         !uj_link_empty(&loop->busy) || !uj_link_empty(&loop->preempted);
}

/* When the next turn is due: 0 when jobs are ready, UJ_NEVER when only a call
 * from outside can make one ready. */
uint64_t uj_loop_due(struct uj_loop *loop);

#endif
