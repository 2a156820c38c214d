/* src/core/admit.c: who may enter a scheduler. See core.pml. */

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
#ifndef BUG_HOLD /* jobs that are about to start do so in spite of the pause */
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
#ifdef BUG_CLOSER /* who waits until the scheduler is idle is not woken */
  :: sched[s].nlive == 0
#else
  :: sched[s].nlive == 0 -> wake_all(Q_IDLE(s))
#endif
  :: else ->
     a_n = len(q[Q_ALONE(s)]);
     if
#ifdef BUG_ALONE /* two jobs that close from inside wait for each other */
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
