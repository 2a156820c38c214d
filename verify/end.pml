/* src/core/end.c: how jobs end. See core.pml. */

/* uj_job_end(). What host->ended() does is in called() of the model. */
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
  /* Nobody reads these any more. One value for all ended jobs saves states. */
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
#ifdef BUG_HANDOVER /* what was handed over to the job is lost */
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
#ifndef BUG_KILL_TIMER /* a job that waits already is not killed in time */
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
#ifndef BUG_GRACE /* children get as much time as their parent has */
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

/* close_all(&sched->jobs), then close_all(&sched->shields). The lists are in the
 * order of spawning, which is the order of the jobs' numbers. */
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
