/* One job: its life, its waits, its cancellation.
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
 *   - a job is in at most one queue, and `place` says in which;
 *   - its timer is armed only while it is parked (UJ_AT_WAIT);
 *   - once a job was woken with UJ_WAKE_OK, what it waited for is its own: a
 *     later cancellation is raised at its next operation (M6);
 *   - a job that runs on and on is not asked for anything: who interrupts it
 *     looks at uj_job_overrun(), and may take it off by uj_job_preempt(). */
#ifndef UJ_CORE_JOB_H
#define UJ_CORE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/link.h"
#include "core/timers.h"
#include "core/waitq.h"

struct uj_sched;

enum uj_job_state {
  UJ_JOB_NEW,     /* not admitted: being made, or blocked in spawn */
  UJ_JOB_PENDING, /* waits for a free slot of its scheduler */
  UJ_JOB_ACTIVE,  /* has a slot; runs, waits, or is about to start */
  UJ_JOB_CLOSING, /* active, and asked to end */
  UJ_JOB_DONE,
  UJ_JOB_FAILED,
  UJ_JOB_CANCELLED,
  UJ_JOB_KILLED
};

/* Why a job runs again. */
enum uj_wake {
  UJ_WAKE_OK,        /* what it waited for has come */
  UJ_WAKE_TIMEOUT,   /* the time limit of the operation passed */
  UJ_WAKE_DEADLINE,  /* the deadline that it runs under passed */
  UJ_WAKE_CANCELLED, /* it is to end */
  UJ_WAKE_CLOSED,    /* the thing waited for was closed */
  UJ_WAKE_KILLED     /* it is ended without being asked any more */
};

/* Where uj_job::queue is linked. */
enum uj_place {
  UJ_AT_NONE,    /* nowhere: new, running or ended */
  UJ_AT_BLOCKED, /* uj_sched::blocked */
  UJ_AT_PENDING, /* uj_sched::pending */
  UJ_AT_READY,   /* uj_loop::ready, ::batch, ::preempted or ::busy */
  UJ_AT_WAIT     /* a wait queue, or none when only time or a call wakes it */
};

/* What a parked job is doing: for people, and where leaving a wait has more to
 * it than leaving the queue. */
enum uj_op {
  UJ_OP_NONE,
  UJ_OP_YIELD,
  UJ_OP_PREEMPTED, /* nothing: it was taken off in the middle of its work */
  UJ_OP_SLEEP,
  UJ_OP_AWAIT,
  UJ_OP_WORK,  /* for a function in the thread pool */
  UJ_OP_POLL,  /* in cqueues */
  UJ_OP_WAIT,  /* for `target` to end */
  UJ_OP_CLOSE, /* the same, `target` being closed */
  UJ_OP_SHIELD,
  UJ_OP_SPAWN, /* for `target` to be admitted */
  UJ_OP_IDLE,  /* for a scheduler to be idle */
  UJ_OP_EVENT,
  UJ_OP_GET,
  UJ_OP_PUT,
  UJ_OP_ACQUIRE,
  UJ_OP_LOCK
};

/* What a job does to what it waited for, or is to close besides (`target` or
 * `idle`), when it left the wait too early. It does it when it runs; but what
 * it waited for may hold the loop, and then it is done for it: see
 * uj_loop_overrun(). */
enum uj_on_abandon {
  UJ_ABANDON_ALONE,
  UJ_ABANDON_CLOSE_LATE, /* closes it when its own time limit passed */
  UJ_ABANDON_CLOSE       /* closes it in any case */
};

/* Owned by its Lua userdata. The scheduler, the loop and the wait queues borrow
 * it; all of them have let go of it when the job ended. */
struct uj_job {
  struct uj_link queue;    /* see `place` */
  struct uj_link member;   /* uj_sched::jobs or ::shields, while it lives */
  struct uj_timer timer;   /* the earliest of what may end its wait */
  struct uj_waitq waiters; /* jobs that wait for the end, or the admission */
  struct uj_sched *sched;
  union {                  /* what it waits for, borrowed; or NULL */
    struct uj_job *target; /* UJ_OP_WAIT, _CLOSE, _SHIELD, _SPAWN */
    struct uj_sched *idle; /* UJ_OP_IDLE; or with `on_abandon`: to close then */
  };
  uint64_t deadline_ns; /* before it started: the time it gets, from then */
  uint64_t kill_ns;     /* when it is ended by force */
  uint64_t raised_ns;   /* when `raised` was raised */
  uint64_t id;
  uint32_t nlocks;         /* mutexes that it holds */
  uint32_t preemptions;    /* how often it was taken off */
  uint8_t state;           /* enum uj_job_state */
  uint8_t place;           /* enum uj_place */
  uint8_t wake;            /* enum uj_wake: why it was made ready */
  uint8_t limit;           /* enum uj_wake: what the timer brings */
  uint8_t op;              /* enum uj_op */
  uint8_t refusals;        /* operations in a row that were refused */
  unsigned on_abandon : 2; /* enum uj_on_abandon */
  unsigned raised : 3;     /* enum uj_wake: what was raised in it last */
  bool started : 1;
  bool cancel : 1;       /* asked to end */
  bool protect : 1;      /* holds off cancellation */
  bool shielded : 1;     /* runs outside the limit, in uj_sched::shields */
  bool wants_result : 1; /* it waits in `waiters` of another, for its error, too
                          */
  bool result_wanted : 1; /* it has ended, and such a one gets its error */
  bool unwarned : 1; /* `kill_ns` is for its own deadline, not yet raised */
};

/* Sets up a job that belongs to `sched` but is not admitted. */
void uj_job_init(struct uj_job *job, struct uj_sched *sched);

static inline bool uj_job_ended(const struct uj_job *job)
{
  return job->state >= UJ_JOB_DONE;
}

/* Changes the state; asserts that the change is legal. */
void uj_job_move(struct uj_job *job, enum uj_job_state state);

/* Why the job must not go into, or go on with, an operation that can suspend:
 * UJ_WAKE_KILLED, _CANCELLED or _DEADLINE, in this order; or UJ_WAKE_OK. */
enum uj_wake uj_job_interrupted(const struct uj_job *job);

/* Suspends the running job: in `waitq` (NULL: until uj_job_wake) and until
 * `due_ns` at most. The caller must give up the thread after it. An interrupted
 * job is not queued but runs again on the next turn with the reason. */
void uj_job_park(struct uj_job *job, struct uj_waitq *waitq, uint64_t due_ns,
                 enum uj_op op);

/* Makes the running job give way: it runs again on the next turn. */
void uj_job_yield(struct uj_job *job);

/* Takes the running job off between two instructions of its own: it goes on
 * when the others that are ready have run. */
void uj_job_preempt(struct uj_job *job);

/* What is to be raised now in the running job, which does not suspend: what it
 * was not told yet, and UJ_WAKE_KILLED when it goes on all the same; UJ_WAKE_OK
 * for nothing. */
enum uj_wake uj_job_overrun(const struct uj_job *job);
/* The reason is raised in it. */
void uj_job_note_raised(struct uj_job *job, enum uj_wake wake);
/* A deadline is set anew: at the very time at which another one was raised it
 * is to be raised all the same. */
static inline void uj_job_renew(struct uj_job *job, uint64_t deadline_ns)
{
  if (job->raised == UJ_WAKE_DEADLINE && deadline_ns < job->deadline_ns &&
      deadline_ns <= job->raised_ns)
    job->raised = UJ_WAKE_OK;
}
/* When to ask that again; UJ_NEVER when nothing is to come. */
uint64_t uj_job_overrun_due(const struct uj_job *job);

/* The limits that hold in the job from now on. */
static inline void uj_job_limit(struct uj_job *job, uint64_t deadline_ns,
                                bool protect)
{
  job->deadline_ns = deadline_ns;
  job->protect = protect;
}

/* Does what a job that is ready again is sure to do to what it waited for. */
void uj_job_abandon(struct uj_job *job);
/* It does that itself: it runs. */
void uj_job_forget_abandon(struct uj_job *job);

/* Makes a parked job ready. Nothing happens when it is ready or running. */
void uj_job_wake(struct uj_job *job, enum uj_wake wake);

/* Asks a job to end: at once if it never ran, at its next operation else. */
void uj_job_cancel(struct uj_job *job);

/* How long a job may give others to end: `span_ns`, but not so long that it is
 * ended by force itself before they are. NULL for nobody. */
uint64_t uj_job_grace(const struct uj_job *closer, uint64_t span_ns);

/* Cancels a job and has it killed when it lives on after `span_ns`. */
void uj_job_close(struct uj_job *job, uint64_t span_ns);

/* The job ended: tells its scheduler and everything that waits for it. The
 * job's memory may be gone when this returns. */
void uj_job_end(struct uj_job *job, enum uj_job_state state);

#endif
