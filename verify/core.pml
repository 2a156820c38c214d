/* src/core in Promela: job.c, admit.c, end.c. Each inline has the name of the
 * function that it mirrors, without the `uj_`, and does the same in the same
 * order. loop.pml has turn.c.
 *
 * The including model sets NJOBS, NSCHEDS, NMORE (wait queues of its own),
 * LIMIT(s), PENDING(s), CLOSE(s): the limits and the close timeout of a
 * scheduler. With CHANGES these can change, and a scheduler can be paused: then
 * the model also sets MOST(s), MOST_PENDING(s), and Q_HELD, a wait queue of its
 * own for uj_sched::held. LIMIT(s) is uj_sched::slots, so it is 0 in a pause.
 *
 * Time. Each time is the number of ticks that are left until it, 0 when it has
 * passed, NEVER for none. tick() takes one from each. Which of the timers that
 * have passed fires first is left open.
 *
 * -DBUG_... puts a mistake in, one for each property, to show that the property
 * can fail. */

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

/* enum uj_op: those that make a difference, and one for all others */
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

/* Calls of the core, with their arguments. */
#define T_NOTHING 0
#define T_WAKE 1      /* job_wake(to, with) */
#define T_PARK 2      /* park(cur, list, due, op) */
#define T_YIELD 3
#define T_PREEMPT 4
#define T_CANCEL 5    /* job_cancel(to) */
#define T_CLOSE 6     /* job_close(to, due) */
#define T_SPAWN 7     /* of `to` on `with`; it blocks `cur` if that is full */
#define T_CLOSE_ALL 8 /* sched_close() of `with` to `last` by `by` */
#define T_ALONE 9     /* sched_wait_alone(with, cur) */
#define T_END 10      /* job_end(to, with) */
#define T_MORE 11     /* what the model has besides: more() */

/* The lists that uj_job::queue can be in. A list is a channel; an append sends,
 * and a removal receives from the middle. */
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
  byte target;   /* a job or, for OP_IDLE, a scheduler */
  byte sched;
  byte queue;    /* the list that it is in, or NOQ */
  byte due;      /* of its timer; NEVER when it is not armed */
  byte deadline;
  byte kill;
  bool started;
  bool cancel;
  bool protect;
  bool shielded;
  bool unwarned;
  bool member;   /* in uj_sched::jobs or ::shields */
  bool raised;   /* its cancellation was; see to_raise() */
  bool used;     /* it was spawned, or blocks its spawner */
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
byte outcome;        /* what host->resume() returns */
bool tired;          /* the next refusal is one of those that pause */
byte pick;           /* a timer that has passed */

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

/* One expression for all jobs. */
#if NJOBS == 3
#define any(f) (f(0) || f(1) || f(2))
#elif NJOBS == 4
#define any(f) (f(0) || f(1) || f(2) || f(3))
#elif NJOBS == 5
#define any(f) (f(0) || f(1) || f(2) || f(3) || f(4))
#elif NJOBS == 6
#define any(f) (f(0) || f(1) || f(2) || f(3) || f(4) || f(5))
#endif

/* What the numbers of active and of pending jobs can be: the limits, unless
 * they were greater before. */
#ifndef CHANGES
#define MOST(s) LIMIT(s)
#define MOST_PENDING(s) PENDING(s)
#endif

#define has_room(s)                                                            \
  (sched[s].nactive < LIMIT(s) || sched[s].npending < PENDING(s))
#define min(a, b) ((a) < (b) -> (a) : (b))

/* Scratch variables, each of one inline. They hold nothing between two steps. */
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

/* ---- job.c --------------------------------------------------------------- */

/* uj_job_move(): its table, and M4 */
#define move(j, to)                                                            \
  assert(!ended(j));                                                           \
  assert((job[j].state == NEW && (to == PEND || to == ACTIVE || to == CANCELLED))\
         || (job[j].state == PEND && (to == ACTIVE || to == CANCELLED))        \
         || (job[j].state == ACTIVE && to >= CLOSING)                          \
         || (job[j].state == CLOSING && to >= DONE));                          \
  job[j].state = to

/* uj_job_make_ready() */
#define make_ready(j)                                                          \
  job[j].place = AT_READY;                                                     \
  link_append(Q_READY, j)

#define warn(j)                                                                \
  if                                                                           \
  :: job[j].unwarned && job[j].kill <= CLOSE(job[j].sched) ->                  \
     job[j].unwarned = false;                                                  \
     job[j].kill = CLOSE(job[j].sched)                                         \
  :: else                                                                      \
  fi

inline finish_wait(j, w)
{
  assert(job[j].place == AT_NONE || job[j].place == AT_WAIT); /* woken once */
  if
  :: job[j].on_abandon == ABANDON_NOTHING -> job[j].target = NONE
  :: else -> nabandoning++
  fi;
  if
  :: w == W_DEADLINE -> warn(j)
  :: else
  fi;
  job[j].wake = w;
  job[j].timer_wake = W_OK;
  make_ready(j)
}

inline arm_at(j, d, w)
{
  if
  :: job[j].kill < d -> job[j].due = job[j].kill; job[j].timer_wake = W_KILLED
  :: else -> job[j].due = d; job[j].timer_wake = w
  fi
}

inline arm(j, d)
{
  if
  :: job[j].deadline <= d ->
     r_d = job[j].deadline;
     arm_at(j, r_d, W_DEADLINE)
  :: else -> arm_at(j, d, W_TIMEOUT)
  fi
}

/* refuse(). The first 100 refusals take a turn, the others pause. Which of the
 * two a refusal does is left open. */
inline refuse(j, w)
{
  if
  :: job[j].on_abandon == ABANDON_NOTHING -> job[j].target = NONE
  :: else
  fi;
  if
  :: !tired || w == W_KILLED -> finish_wait(j, w)
  :: else -> job[j].place = AT_WAIT; arm_at(j, 1, w)
  fi;
  tired = false
}

/* uj_job_park() */
inline park(j, k, d, o)
{
  p_w = interrupted(j);
#ifdef BUG_SWALLOW /* the forced end is looked at only while it waits */
  if :: p_w == W_KILLED && job[j].cancel -> p_w = W_CANCELLED :: else fi;
#endif
#ifdef BUG_EDGE /* cancellation as an event: it is raised once */
  if :: p_w == W_CANCELLED && job[j].raised -> p_w = W_OK :: else fi;
#endif
  assert(job[j].place == AT_NONE && job[j].started && !ended(j));
  job[j].op = o;
  if
  :: p_w != W_OK -> refuse(j, p_w)
  :: else ->
     tired = false;
     job[j].place = AT_WAIT;
     if
     :: k != NOQ -> link_append(k, j)
     :: else
     fi;
     arm(j, d)
  fi
}

/* uj_job_yield() */
inline yield(j)
{
  p_w = interrupted(j);
  job[j].op = OP_YIELD;
  if
  :: p_w != W_OK -> refuse(j, p_w)
  :: else -> tired = false; finish_wait(j, W_OK)
  fi
}

/* uj_job_preempt() */
inline preempt(j)
{
  job[j].op = OP_PREEMPTED;
  job[j].wake = W_OK;
  job[j].place = AT_READY;
  link_append(Q_PREEMPTED, j)
}

/* uj_job_drop() */
#define job_drop(j)                                                            \
  assert(job[j].state == NEW);                                                 \
  link_remove(j);                                                              \
  job[j].place = AT_NONE;                                                      \
  move(j, CANCELLED)

inline abandon_spawn(j)
{
  if
  :: job[j].op == OP_SPAWN && job[j].target != NONE ->
     x_t = job[j].target;
     job[j].target = NONE;
#ifndef BUG_KEEP_CHILD
     job_drop(x_t)
#endif
  :: else
  fi
}

/* uj_job_wake() */
inline job_wake(j, w)
{
  if
  :: job[j].place != AT_WAIT
  :: else ->
     k_w = w; /* `w` may be a field that the next lines change */
#ifndef BUG_UNLINK /* a waiter that leaves stays in the list */
     link_remove(j);
#else
     if :: k_w == W_OK -> link_remove(j)
        :: else -> job[j].queue = NOQ fi;
#endif
     job[j].due = NEVER;
     if
     :: k_w != W_OK -> abandon_spawn(j)
     :: else
     fi;
     finish_wait(j, k_w)
  fi
}

/* uj_waitq_wake_all() */
inline wake_all(k)
{
  do
  :: (len(q[k]) > 0) -> first_in(k, w_j); job_wake(w_j, W_OK)
  :: else -> break
  od
}

/* uj_job_forget_abandon() */
inline forget_abandon(j)
{
  if
  :: job[j].on_abandon != ABANDON_NOTHING ->
     nabandoning--;
     job[j].on_abandon = ABANDON_NOTHING
  :: else
  fi
}

/* ---- admit.c ------------------------------------------------------------- */

#define activate(s, j)                                                         \
  move(j, ACTIVE);                                                             \
  sched[s].nactive++;                                                          \
  make_ready(j)

inline enqueue(s, j)
{
  move(j, PEND);
  sched[s].npending++;
  job[j].place = AT_PENDING;
  link_append(Q_PENDING(s), j)
}

/* uj_sched_spawn(), for a scheduler that is open and has room */
inline sched_spawn(s, j)
{
  assert(!sched[s].closed);
  if
  :: sched[s].nactive < LIMIT(s) -> activate(s, j)
  :: else -> enqueue(s, j)
  fi;
  sched[s].nlive++;
  job[j].member = true
}

/* uj_sched_shield(), for a scheduler that is open */
inline sched_shield(s, j)
{
  job[j].shielded = true;
  activate(s, j);
  sched[s].nactive--;
  sched[s].nlive++;
  job[j].member = true
}

/* uj_sched_block() */
inline sched_block(s, j, spawner)
{
  assert(!sched[s].closed && !has_room(s));
  job[spawner].target = j;
  park(spawner, Q_WAITERS(j), NEVER, OP_SPAWN);
  if
  :: (len(q[Q_WAITERS(j)]) == 0) -> job_drop(j)
  :: else -> job[j].place = AT_BLOCKED; link_append(Q_BLOCKED(s), j)
  fi
}

inline promote_pending(s)
{
  do
  :: sched[s].nactive < LIMIT(s) && (len(q[Q_PENDING(s)]) > 0) ->
     first_in(Q_PENDING(s), l_j);
     link_remove(l_j);
     sched[s].npending--;
     activate(s, l_j)
  :: else -> break
  od
}

inline admit_blocked(s)
{
  do
  :: has_room(s) && (len(q[Q_BLOCKED(s)]) > 0) ->
     first_in(Q_BLOCKED(s), l_j);
     link_remove(l_j);
     sched_spawn(s, l_j);
     wake_all(Q_WAITERS(l_j))
  :: else -> break
  od
}

inline let_in(s)
{
  skip;
#ifndef BUG_PROMOTE
  promote_pending(s);
#endif
#ifndef BUG_ADMIT
  admit_blocked(s)
#endif
}

#ifdef CHANGES
/* uj_sched_pause(), from where the slots have become 0 */
inline hold_unstarted(s)
{
  c_j = 0;
  do
  :: c_j < NJOBS ->
     if
#ifndef BUG_HOLD /* who is about to start does so */
     :: job[c_j].sched == s && job[c_j].place == AT_READY &&
        !job[c_j].started ->
        link_remove(c_j);
        job[c_j].place = AT_HELD;
        link_append(Q_HELD, c_j)
#endif
     :: else
     fi;
     c_j++
  :: else -> break
  od;
  c_j = 0
}

/* uj_sched_resume(), from where the slots are there again */
inline release_held(s)
{
  do
  :: (len(q[Q_HELD]) > 0) ->
     first_in(Q_HELD, d_j);
     link_remove(d_j);
     make_ready(d_j)
  :: else -> break
  od;
  let_in(s)
}
#endif

inline wake_idle(s)
{
  if
#ifdef BUG_CLOSER /* the one that closes is forgotten */
  :: sched[s].nlive == 0
#else
  :: sched[s].nlive == 0 -> wake_all(Q_IDLE(s))
#endif
  :: else ->
     a_n = len(q[Q_ALONE(s)]);
     if
#ifdef BUG_ALONE /* two that close from inside wait for each other */
     :: a_n == 1 && sched[s].nlive == 1 -> wake_all(Q_ALONE(s))
#else
     :: a_n > 0 && a_n == sched[s].nlive -> wake_all(Q_ALONE(s))
#endif
     :: else
     fi
  fi
}

/* uj_sched_wait_alone() */
inline sched_wait_alone(s, j)
{
  park(j, Q_ALONE(s), NEVER, OP_IDLE);
  wake_idle(s)
}

/* uj_sched_remove() */
inline sched_remove(s, j, was)
{
  job[j].member = false;
  sched[s].nlive--;
  if
#ifndef BUG_COUNT /* a pending job that is dropped gives a slot back */
  :: was == PEND -> sched[s].npending--
#endif
  :: else ->
     if
     :: !job[j].shielded -> sched[s].nactive--
     :: else
     fi
  fi;
  let_in(s);
  wake_idle(s)
}

/* ---- end.c --------------------------------------------------------------- */

/* uj_job_end(). What host->ended() does besides is job_ended() of the model. */
inline job_end(j, st)
{
  e_was = job[j].state;
  move(j, st);
  link_remove(j);
  job[j].due = NEVER;
#ifndef BUG_WAITERS
  wake_all(Q_WAITERS(j));
#endif
  job[j].place = AT_NONE;
  e_s = job[j].sched;
  sched_remove(e_s, j, e_was);
  /* nobody looks at these any more, so they need not tell states apart */
  job[j].kill = NEVER;
  job[j].deadline = NEVER;
  job[j].wake = W_OK;
  job[j].timer_wake = W_OK;
  job[j].op = OP_NONE;
  job[j].target = NONE;
  job[j].unwarned = false;
  job[j].protect = false;
  job[j].raised = false
}

inline interrupt_ready(j)
{
  if
  :: job[j].wake == W_TIMEOUT || job[j].wake == W_DEADLINE ||
#ifdef BUG_HANDOVER /* what was handed over is lost */
     job[j].wake == W_OK ||
#endif
     (job[j].wake == W_OK && job[j].op == OP_YIELD) ->
     job[j].wake = W_CANCELLED
  :: else
  fi
}

/* uj_job_cancel() */
inline job_cancel(j)
{
  if
  :: ended(j) || job[j].cancel
  :: else ->
     assert(job[j].state != NEW);
     job[j].cancel = true;
     if
     :: !job[j].started -> job_end(j, CANCELLED)
     :: else ->
        move(j, CLOSING);
        if
        :: job[j].protect
        :: else ->
           if
           :: job[j].place == AT_READY -> interrupt_ready(j)
           :: else -> job_wake(j, W_CANCELLED)
           fi
        fi
     fi
  fi
}

inline kill_at(j, k)
{
  job[j].unwarned = false;
  if
  :: k >= job[j].kill
  :: else ->
     job[j].kill = k;
     if
     :: job[j].place == AT_WAIT && !(job[j].due <= k) ->
#ifndef BUG_KILL_TIMER /* one that waits already is not reached */
        job[j].timer_wake = W_KILLED;
        job[j].due = k
#endif
     :: else
     fi
  fi
}

/* uj_job_grace(); `closer` may be NONE */
inline grace(closer, span, result)
{
  result = span;
#ifndef BUG_GRACE /* children get as long as their parent has */
  if
  :: closer != NONE ->
     if
     :: job[closer].kill != NEVER ->
        result = min(span, job[closer].kill - job[closer].kill / 4)
     :: else
     fi
  :: else
  fi
#endif
}

/* uj_job_close() */
inline job_close(j, span)
{
  if
  :: ended(j)
  :: else ->
     if
#ifndef BUG_NO_KILL
     :: job[j].started -> kill_at(j, span)
#endif
     :: else
     fi;
     job_cancel(j)
  fi
}

inline drop_blocked(s)
{
  skip;
#ifndef BUG_BLOCKED
  do
  :: (len(q[Q_BLOCKED(s)]) > 0) ->
     first_in(Q_BLOCKED(s), d_j);
     assert((len(q[Q_WAITERS(d_j)]) > 0));
     first_in(Q_WAITERS(d_j), d_s);
     job_wake(d_s, W_CLOSED)
  :: else -> break
  od
#endif
}

inline drop_pending(s)
{
  skip;
#ifndef BUG_PENDING
  do
  :: (len(q[Q_PENDING(s)]) > 0) ->
     first_in(Q_PENDING(s), d_j);
     job[d_j].cancel = true;
     job_end(d_j, CANCELLED)
  :: else -> break
  od
#endif
}

/* close_all() of uj_sched::jobs, then of ::shields. The numbers of the jobs are
 * given in the order of spawning, which is that of the lists. */
inline close_all(s, closer, span)
{
  c_j = 0;
  do
  :: c_j < 2 * NJOBS ->
     d_j = c_j % NJOBS;
     if
     :: job[d_j].member && job[d_j].sched == s &&
        job[d_j].shielded == (c_j >= NJOBS) && d_j != closer ->
        job_close(d_j, span)
     :: else
     fi;
     c_j++
  :: else -> break
  od;
  c_j = 0
}

/* uj_sched_close_within() */
inline sched_close_within(s, closer, span)
{
  s_span = min(span, CLOSE(s));
  grace(closer, s_span, s_grace);
#ifndef BUG_OPEN
  sched[s].closed = true;
#endif
  drop_blocked(s);
  drop_pending(s);
  close_all(s, closer, s_grace)
}

/* ---- what must hold between two steps ------------------------------------ */

/* uj_sched_check() and uj_loop_check(), and that no wake-up is lost: nobody
 * waits for what has come. */
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
  z_a = 0; /* jobs that are ready and are to leave something */
  do
  :: z_i < NJOBS ->
     assert(job[z_i].due == NEVER || job[z_i].place == AT_WAIT);
     assert(!ended(z_i) || ((len(q[Q_WAITERS(z_i)]) == 0) &&
                            job[z_i].place == AT_NONE &&
                            job[z_i].queue == NOQ));
     /* who is to end cannot wait for anything but its forced end */
     assert(job[z_i].place != AT_WAIT || job[z_i].kill == NEVER ||
            job[z_i].due <= job[z_i].kill);
     /* M5: nobody who is cancelled and not protected is left waiting. One that
      * was refused pauses, for a tick at most */
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
