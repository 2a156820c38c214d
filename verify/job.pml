/* src/core/job.c: one job, its waits, and what interrupts it. See core.pml. */

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

/* The first 100 refusals take a turn each, and the later ones pause. The model
 * does not count them: the including model sets `tired` when it likes. */
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
#ifdef BUG_SWALLOW /* the forced end reaches a job only while it waits */
  if :: p_w == W_KILLED && job[j].cancel -> p_w = W_CANCELLED :: else fi;
#endif
#ifdef BUG_EDGE /* the cancellation is raised once only */
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
     k_w = w; /* `w` can be a field that the next lines change */
#ifndef BUG_UNLINK /* a job that stops waiting stays in the list */
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
