/* src/core in Promela: the records of jobs and schedulers, and what must always
 * hold. job.pml, admit.pml and end.pml, which this includes, are job.c, admit.c
 * and end.c: each inline there has the name of the function that it mirrors,
 * without the `uj_`, and does the same in the same order. loop.pml is turn.c.
 *
 * The model that includes this defines NJOBS, NSCHEDS and NMORE, the number of
 * wait queues of its own; and for a scheduler `s` its limits LIMIT(s) and
 * PENDING(s), and its close timeout CLOSE(s). If the limits can change, or a
 * scheduler can be paused, the model is compiled with CHANGES and also defines
 * MOST(s), MOST_PENDING(s) and Q_HELD, a wait queue of its own which stands for
 * uj_sched::held. LIMIT(s) stands for uj_sched::slots, so it is 0 in a pause.
 *
 * A point in time is the number of ticks that are left until it: 0 when it has
 * passed, NEVER when there is none. tick() takes one from each. When several
 * timers have passed, the search tries each order in which they can fire.
 *
 * -DBUG_... puts a mistake into the model. There is one for each property, to
 * show that the property can fail. */

#define NEVER 255
#define NONE 255
#define NOQ 255

/* enum uj_job_state */
#define NEW 0
#define PEND 1
#define ACTIVE 2
#define CLOSING 3
#define DONE 4
#define FAILED 5
#define CANCELLED 6
#define KILLED 7

/* enum uj_wake */
#define W_OK 0
#define W_TIMEOUT 1
#define W_DEADLINE 2
#define W_CANCELLED 3
#define W_CLOSED 4
#define W_KILLED 5

/* enum uj_place */
#define AT_NONE 0
#define AT_BLOCKED 1
#define AT_PENDING 2
#define AT_READY 3
#define AT_WAIT 4
#define AT_HELD 5

/* enum uj_op: those that make a difference. OP_OTHER stands for all others. */
#define OP_NONE 0
#define OP_YIELD 1
#define OP_PREEMPTED 2
#define OP_WAIT 3
#define OP_SPAWN 4
#define OP_IDLE 5
#define OP_OTHER 6

/* enum uj_on_abandon */
#define ABANDON_NOTHING 0
#define ABANDON_CLOSE_LATE 1
#define ABANDON_CLOSE 2

/* Calls of the core, and the variables that have their arguments. */
#define T_NOTHING 0
#define T_WAKE 1      /* job_wake(to, with) */
#define T_PARK 2      /* park(cur, list, due, op) */
#define T_YIELD 3
#define T_PREEMPT 4
#define T_CANCEL 5    /* job_cancel(to) */
#define T_CLOSE 6     /* job_close(to, due) */
#define T_SPAWN 7     /* sched_spawn(with, to), or sched_block() if it is full */
#define T_CLOSE_ALL 8 /* sched_close() of the schedulers `with` to `last` */
#define T_ALONE 9     /* sched_wait_alone(with, cur) */
#define T_END 10      /* job_end(to, with) */
#define T_MORE 11     /* more(): a call that only this model has */

/* The lists that uj_job::queue can be in. A list is a channel: sending to it
 * appends a job, and receiving from its middle removes one. */
#define Q_READY 0
#define Q_BATCH 1
#define Q_PREEMPTED 2
#define Q_BUSY 3
#define Q_PENDING(s) (4 + 4 * (s))
#define Q_BLOCKED(s) (5 + 4 * (s))
#define Q_IDLE(s) (6 + 4 * (s))
#define Q_ALONE(s) (7 + 4 * (s))
#define Q_WAITERS(j) (4 + 4 * NSCHEDS + (j))
#define Q_MORE(k) (4 + 4 * NSCHEDS + NJOBS + (k))
#define NQUEUES (4 + 4 * NSCHEDS + NJOBS + NMORE)

typedef Job {
  byte state;
  byte place;
  byte wake;
  byte timer_wake;
  byte op;
  byte on_abandon;
  byte target;   /* a job; for OP_IDLE a scheduler */
  byte sched;
  byte queue;    /* the list that it is in, or NOQ */
  byte due;      /* when its timer fires; NEVER when it is not armed */
  byte deadline;
  byte kill;
  bool started;
  bool cancel;
  bool protect;
  bool shielded;
  bool unwarned;
  bool member;   /* it is in uj_sched::jobs or ::shields */
  bool raised;   /* its cancellation has been raised: see uj_job_to_raise() */
  bool used;     /* it has been spawned, or its spawner is blocked by it */
};

typedef Sched {
  byte nactive;
  byte npending;
  byte nlive;
  bool closed;
};

Job job[NJOBS];
Sched sched[NSCHEDS];
chan q[NQUEUES] = [NJOBS] of { byte };
byte nabandoning;
bool busy_next;
byte cur = NONE;     /* the job that runs */
bool tired;          /* the next refusal is one that pauses: see refuse() */

#define ended(j) (job[j].state >= DONE)
#define lives(j) (job[j].used && !ended(j))
#define interrupted(j)                                                         \
  (job[j].kill == 0                                                            \
     -> (job[j].unwarned && job[j].deadline == 0 -> W_DEADLINE : W_KILLED)     \
     : (job[j].cancel && !job[j].protect                                       \
          -> W_CANCELLED                                                       \
          : (job[j].deadline == 0 -> W_DEADLINE : W_OK)))
#define due_now(j) (job[j].due == 0)
#define timed(t) (t > 0 && t != NEVER)
#define counts(j)                                                              \
  (job[j].started && !ended(j) &&                                              \
   (timed(job[j].kill) || timed(job[j].deadline) || timed(job[j].due)))
#define armed(j) (job[j].due != NEVER)

/* Whether f(j) holds for any job. */
#if NJOBS == 3
#define any(f) (f(0) || f(1) || f(2))
#elif NJOBS == 4
#define any(f) (f(0) || f(1) || f(2) || f(3))
#elif NJOBS == 5
#define any(f) (f(0) || f(1) || f(2) || f(3) || f(4))
#elif NJOBS == 6
#define any(f) (f(0) || f(1) || f(2) || f(3) || f(4) || f(5))
#endif

/* What the numbers of active and of pending jobs can be at most: the limits,
 * or what the numbers were when a limit was lowered below them. */
#ifndef CHANGES
#define MOST(s) LIMIT(s)
#define MOST_PENDING(s) PENDING(s)
#endif

#define has_room(s)                                                            \
  (sched[s].nactive < LIMIT(s) || sched[s].npending < PENDING(s))
#define min(a, b) ((a) < (b) -> (a) : (b))

/* Each of these is used by one inline, and has no meaning between two steps. */
hidden byte x_t, k_w, e_was, e_s, l_j, c_j, d_j, d_s, a_n, s_span, s_grace, p_w, r_d, w_j;
hidden byte n_i, t_i, z_i, z_k, z_a, z_p;

/* SPIN nests inlines 15 deep at most: the short functions are macros. */

/* ---- link.h -------------------------------------------------------------- */

#define link_append(k, j)                                                      \
  assert(job[j].queue == NOQ);                                                 \
  q[k]!j;                                                                      \
  job[j].queue = k

#define link_remove(j)                                                         \
  if                                                                           \
  :: job[j].queue != NOQ -> q[job[j].queue]??eval(j); job[j].queue = NOQ       \
  :: else                                                                      \
  fi

#define first_in(k, j)                                                         \
  q[k]?<j>

/* ---- job.c, admit.c, end.c ------------------------------------------------ */

#include "job.pml"
#include "admit.pml"
#include "end.pml"

/* ---- what must hold between two steps ------------------------------------ */

/* Asserts what uj_sched_check() and uj_loop_check() assert, and that no wake-up
 * is lost: no job waits for what has come already. */
inline check()
{
  z_i = 0;
  do
  :: z_i < NSCHEDS ->
     z_a = 0;
     z_p = 0;
     z_k = 0;
     do
     :: z_k < NJOBS ->
        if
        :: job[z_k].sched == z_i && job[z_k].member ->
           if
           :: job[z_k].state == PEND -> z_p++
           :: job[z_k].shielded
           :: else -> z_a++
           fi
        :: else
        fi;
        z_k++
     :: else -> break
     od;
     assert(z_a == sched[z_i].nactive && z_a <= MOST(z_i));     /* M2 */
     assert(z_p == sched[z_i].npending && z_p <= MOST_PENDING(z_i));
     assert(len(q[Q_PENDING(z_i)]) == z_p);
     assert(z_p == 0 || z_a >= LIMIT(z_i));                     /* M3 */
     assert((len(q[Q_BLOCKED(z_i)]) == 0) || !has_room(z_i));
     assert(!sched[z_i].closed ||
            (z_p == 0 && (len(q[Q_BLOCKED(z_i)]) == 0)));
     assert(sched[z_i].nlive > 0 || (len(q[Q_IDLE(z_i)]) == 0));
     assert((len(q[Q_ALONE(z_i)]) == 0) ||
            len(q[Q_ALONE(z_i)]) < sched[z_i].nlive);
     z_i++
  :: else -> break
  od;
  z_i = 0;
  z_a = 0; /* ready jobs that have abandoned a wait */
  do
  :: z_i < NJOBS ->
     assert(job[z_i].due == NEVER || job[z_i].place == AT_WAIT);
     assert(!ended(z_i) || ((len(q[Q_WAITERS(z_i)]) == 0) &&
                            job[z_i].place == AT_NONE &&
                            job[z_i].queue == NOQ));
     /* The timer of a job that waits fires no later than its forced end. */
     assert(job[z_i].place != AT_WAIT || job[z_i].kill == NEVER ||
            job[z_i].due <= job[z_i].kill);
     /* M5: no job that is cancelled and not protected is left waiting. It can
      * only pause because an operation was refused, for one tick at most. */
     assert(job[z_i].place != AT_WAIT || !job[z_i].cancel ||
            job[z_i].protect || job[z_i].due <= 1);
     if
     :: job[z_i].place == AT_READY && job[z_i].on_abandon != ABANDON_NOTHING -> z_a++
     :: else
     fi;
     z_i++
  :: else -> break
  od;
  assert(z_a == nabandoning)
}
