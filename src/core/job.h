/* One job: its states, its waits, and how it is interrupted. admit.h lets it
 * into its scheduler, turn.h runs it, end.h cancels, closes and ends it.
 *
 *            spawn                 run                    end
 *   NEW --+--------> PENDING ----+      +---------------> DONE
 *         |             |        v      |                 FAILED
 *         +-------------|-----> ACTIVE -+-> CLOSING ----> CANCELLED
 *                       |        |  cancel                KILLED
 *                       +--------+----- cancel before it ran --> CANCELLED
 *
 * Invariants:
 *   - the state is changed by uj_job_move() alone;
 *   - a job is in at most one list by its `queue`, and `place` says in which;
 *   - its timer is armed only while it is parked (UJ_AT_WAIT);
 *   - once a job was woken with UJ_WAKE_OK, what it waited for is its own: a
 *     later cancellation is raised at its next operation (M6);
 *   - nothing here stops a job that runs on and on: who interrupts it asks
 *     uj_job_to_raise() what to raise, or preempts it by uj_job_preempt(). */
#ifndef UJ_CORE_JOB_H
#define UJ_CORE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/life.h"
#include "core/link.h"
#include "core/loop.h"
#include "core/order.h"
#include "core/sched.h"
#include "core/timers.h"
#include "core/waitq.h"

/* Where uj_job::queue is linked. */
enum uj_place {
  UJ_AT_NONE,    /* nowhere: new, running or ended */
  UJ_AT_BLOCKED, /* uj_sched::blocked */
  UJ_AT_PENDING, /* uj_sched::pending */
  UJ_AT_HELD,    /* uj_sched::held */
  UJ_AT_READY,   /* uj_loop::ready, ::batch, ::preempted or ::busy */
  UJ_AT_WAIT     /* a wait queue; none if only time or a call wakes the job */
};

/* What a job waits for, or did last: the operations that the core itself tells
 * apart. The host numbers its own from UJ_OP_HOST on. */
enum uj_op {
  UJ_OP_NONE,
  UJ_OP_YIELD,     /* nothing: it gave way */
  UJ_OP_PREEMPTED, /* nothing: it was stopped in the middle of its work */
  UJ_OP_WAIT,      /* for `target` to end */
  UJ_OP_SPAWN,     /* for `target`, which it could not spawn, to be admitted */
  UJ_OP_IDLE,      /* for a scheduler to be idle */
  UJ_OP_HOST
};

/* The ends of a job that are bad news, as a set. */
enum uj_hears { UJ_HEARS_FAILED = 1, UJ_HEARS_KILLED = 2, UJ_HEARS_ALL = 3 };

/* What happens to the target of a wait (`target` or `target_sched`) when the
 * waiter leaves the wait too early. Normally the waiter does it when it next
 * runs. If the target hogs the loop, uj_loop_expire() does it on its behalf;
 * and so does the turn that kills the waiter, because what the waiter would do
 * by itself is interrupted. */
enum uj_on_abandon {
  UJ_ABANDON_NOTHING,    /* nothing */
  UJ_ABANDON_CLOSE_LATE, /* it is closed if the wait's own limit passed */
  UJ_ABANDON_CLOSE       /* it is closed */
};

struct uj_line;

/* Owned by its Lua userdata. The scheduler, the loop and the wait queues borrow
 * it; all of them have let go of it when the job ended. */
struct uj_job {
  struct uj_link queue;  /* in the list that `place` names */
  struct uj_link member; /* in uj_sched::jobs or ::shields while it lives */
  struct uj_timer timer; /* in uj_loop::timers: the earliest limit of a wait */
  struct uj_waitq waiters; /* jobs that wait for its end or its admission */
  struct uj_sched *sched;  /* borrowed; outlives the job */
  /* Borrowed, or NULL: valid while it waits, and with an `on_abandon` until it
   * runs. */
  union {
    struct uj_job *target;         /* UJ_OP_WAIT, _SPAWN, and the host's */
    struct uj_sched *target_sched; /* UJ_OP_IDLE; or, with an `on_abandon`,
                                      any other */
    struct uj_line *line;          /* with `in_line` */
  };
  uint64_t deadline_ns; /* before it started: the span that it gets */
  uint64_t kill_ns;     /* when it is ended by force */
  uint64_t raised_ns;   /* when `raised` was raised */
  uint64_t id;
  uint32_t nlocks;         /* mutexes that it holds */
  uint32_t preemptions;    /* how often it was preempted */
  uint8_t state;           /* enum uj_job_state */
  uint8_t place;           /* enum uj_place */
  uint8_t wake;            /* enum uj_wake: why it was made ready */
  uint8_t timer_wake;      /* enum uj_wake: what the timer wakes it with */
  uint8_t op;              /* enum uj_op, or one of the host */
  uint8_t refusals;        /* operations in a row that were refused */
  unsigned on_abandon : 2; /* enum uj_on_abandon */
  unsigned raised : 3;     /* enum uj_wake: what was raised in it last while it
                              ran on */
  bool started : 1;        /* it has run; before, `deadline_ns` is a span */
  bool cancel : 1;         /* it is cancelled */
  bool protect : 1;        /* it holds cancellation off */
  bool shielded : 1;       /* it is in uj_sched::shields, outside the limit */
  unsigned hears : 2;      /* enum uj_hears: it waits in `waiters` of another
                              job, and is told when that ends so */
  unsigned heard : 2;      /* enum uj_hears: the ends of this job that somebody
                              is told, so that nobody else need hear of them */
  bool unwarned : 1; /* `kill_ns` belongs to its own deadline, which was not
                        raised yet */
  bool in_line : 1;  /* it waits in a line, which counts it */
  bool ranked : 1;   /* it has a uj_rank: see uj_job_rank() */
  bool timed : 1;    /* for the host: it has a record of its times */
  bool unseen : 1;   /* for the host: no program can know it */
  unsigned room : 3; /* for the host: arguments that its record has room for */
};

/* Sets up a job that belongs to `sched` but is not admitted. */
void uj_job_init(struct uj_job *job, struct uj_sched *sched);

static inline bool uj_job_ended(const struct uj_job *job)
{
  return job->state >= UJ_JOB_DONE;
}

/* The rank of a job that is ranked. */
static inline struct uj_rank *uj_job_rank(const struct uj_job *job)
{
  union {
    const struct uj_job *job;
    char *bytes; /* the rank may be changed through a job that may not */
  } at = {job};
  return (struct uj_rank *)(void *)(at.bytes +
                                    job->sched->loop->host->rank_offset);
}

/* The job of a rank, which belongs to the scheduler. */
static inline struct uj_job *uj_job_of_rank(const struct uj_sched *sched,
                                            struct uj_rank *rank)
{
  return (struct uj_job *)(void *)((char *)rank -
                                   sched->loop->host->rank_offset);
}

/* Changes the state; asserts that the change is legal. */
void uj_job_move(struct uj_job *job, enum uj_job_state state);

/* The first of a list of uj_job::queue that is not empty. */
static inline struct uj_job *uj_job_first(const struct uj_link *queue)
{
  return uj_container(queue->next, struct uj_job, queue);
}

/* Puts a job that is in no queue at the end of those that are ready. */
static inline void uj_job_make_ready(struct uj_job *job)
{
  struct uj_loop *loop = job->sched->loop;
  job->place = UJ_AT_READY;
  uj_link_append(&loop->ready, &job->queue);
  if (loop->heeds != 0)
    uj_loop_heed(loop, job);
}

/* uj_job_interrupted() for a job that something might interrupt. */
enum uj_wake uj_job_find_interruption(const struct uj_job *job);

/* Why the job must not begin, or go on with, an operation that can suspend:
 * UJ_WAKE_KILLED, _CANCELLED or _DEADLINE, in this order; or UJ_WAKE_OK. Each
 * such operation asks twice, and mostly there is nothing: so that is found out
 * without a call. */
static inline enum uj_wake uj_job_interrupted(const struct uj_job *job)
{
  if (job->kill_ns == UJ_NEVER && job->deadline_ns == UJ_NEVER && !job->cancel)
    return UJ_WAKE_OK;
  return uj_job_find_interruption(job);
}

/* Suspends the running job in `waitq` (NULL: until uj_job_wake()) and until
 * `due_ns` at most. The caller must give up the thread after it. An interrupted
 * job is not queued but runs again on the next turn with the reason. */
void uj_job_park(struct uj_job *job, struct uj_waitq *waitq, uint64_t due_ns,
                 unsigned op);

/* Makes the running job give way: it runs again on the next turn. */
void uj_job_yield(struct uj_job *job);

/* Takes the running job off between two instructions of its own: it goes on
 * when the others that are ready have run. */
void uj_job_preempt(struct uj_job *job);

/* Makes a parked job ready. Nothing happens when it is ready or running. */
void uj_job_wake(struct uj_job *job, enum uj_wake wake);

/* The job has run, so it does by itself what `on_abandon` says. */
void uj_job_forget_abandon(struct uj_job *job);

/* Ends a job that was never admitted. The host may free it. */
void uj_job_drop(struct uj_job *job);

/* What is to be raised now in the running job, which does not suspend: what was
 * not raised in it yet, then UJ_WAKE_KILLED if it goes on all the same;
 * UJ_WAKE_OK for nothing. */
enum uj_wake uj_job_to_raise(const struct uj_job *job);
/* When uj_job_to_raise() has something new to say; or UJ_NEVER. */
uint64_t uj_job_raise_due(const struct uj_job *job);
/* The reason has been raised in the running job. */
void uj_job_note_raised(struct uj_job *job, enum uj_wake wake);
/* A deadline is about to be set. One that is not later than the last that was
 * raised must be raised all the same. */
static inline void uj_job_note_deadline(struct uj_job *job,
                                        uint64_t deadline_ns)
{
  if (job->raised == UJ_WAKE_DEADLINE && deadline_ns < job->deadline_ns &&
      deadline_ns <= job->raised_ns)
    job->raised = UJ_WAKE_OK;
}

/* The limits that hold in the job from now on. */
static inline void uj_job_set_limits(struct uj_job *job, uint64_t deadline_ns,
                                     bool protect)
{
  job->deadline_ns = deadline_ns;
  job->protect = protect;
}
/* The same when a scope of limits is left, so those before it hold again. If
 * only the deadline of that scope was in the way, the job has heeded it, and
 * its refusals are counted anew. */
void uj_job_leave_limits(struct uj_job *job, uint64_t deadline_ns,
                         bool protect);

/* The job that waits longest, or NULL. */
struct uj_job *uj_waitq_first(const struct uj_waitq *waitq);

/* Wakes the first waiter with UJ_WAKE_OK and returns it, or NULL. What it
 * waited for is its own from now on: no cancellation takes it back. */
struct uj_job *uj_waitq_wake_one(struct uj_waitq *waitq);

/* Wakes all waiters with UJ_WAKE_OK, in order. */
void uj_waitq_wake_all(struct uj_waitq *waitq);

/* Wakes all waiters with UJ_WAKE_CLOSED, in order. */
void uj_waitq_close(struct uj_waitq *waitq);

/* A line is a wait list that knows at every moment how many stand in it. A job
 * that leaves early leaves the count in the same moment, so nobody who asks
 * for the length counts one that is about to run with `cancelled`. To count
 * the jobs of a list anew each time would take as long as it is long. */
struct uj_line {
  struct uj_waitq waiters;
  uint64_t length;
};

static inline void uj_line_init(struct uj_line *line)
{
  uj_waitq_init(&line->waiters);
  line->length = 0;
}

/* As uj_job_park() and uj_waitq_wake_one(), which must not be used on the
 * waiters of a line; uj_waitq_close() may. */
void uj_line_park(struct uj_line *line, struct uj_job *job, uint64_t due_ns,
                  unsigned op);
struct uj_job *uj_line_wake_one(struct uj_line *line);

#endif
