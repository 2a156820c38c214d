/* The limits and the life of jobs (src/core/admit.c, end.c, job.c).
 *
 * The jobs 0 to SPAWNERS-1 belong to the scheduler MAIN, which has no limit;
 * job 0 is the main job. They spawn CHILDREN other jobs on the scheduler S, are
 * blocked when it is full, cancel children, and close S. Each child tries
 * everything: it ends, sleeps for a tick or for ever, yields, is preempted,
 * protects itself, or swallows its cancellation until it is killed. Between the
 * turns callbacks cancel jobs and close S, too; with CHANGES=n they also set a
 * limit of S, or pause or resume it, n times. When the main job has ended, or
 * nothing can go on, all schedulers are closed.
 *
 *   M1, M3  jobs start in the order of spawning
 *   M2      the limits hold at every moment: check() of core.pml
 *   M4      each job ends once, in one of the four final states: move()
 *   M5      a cancelled job is not left waiting: check()
 *   pause   no job of a paused scheduler starts: run_first() of loop.pml
 *   M9      no job of a closed scheduler starts, and none of its jobs runs
 *           after close() has returned
 *   busy    a job that was preempted has its turn after a batch: check_busy() of
 *           loop.pml
 *   ends    all jobs end, and so does run(): no wake-up is lost */

#ifndef SPAWNERS
#define SPAWNERS 1
#endif
#ifndef CHILDREN
#define CHILDREN 3
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef PLACES
#define PLACES 1
#endif
#ifndef BUDGET
#define BUDGET 1 /* how often a job suspends of its own will */
#endif
#ifndef CANCELS
#define CANCELS 1 /* how often somebody cancels a job */
#endif

#define NJOBS (SPAWNERS + CHILDREN)
#define NSCHEDS 2
#define MAIN 0
#define S 1
#define CLOSE(s) 2

#ifdef CHANGES
#define NMORE 1
#define MORE
#define LIMIT(s) (s == MAIN -> 254 : (paused -> 0 : limit))
#define PENDING(s) (s == MAIN -> 254 : places)
#define MOST(s) (s == MAIN -> 254 : most)
#define MOST_PENDING(s) (s == MAIN -> 254 : most_pending)
#define Q_HELD Q_MORE(0)

byte limit = SLOTS;
byte places = PLACES;
bool paused;
byte most = SLOTS; /* how many jobs of S may be active: its limit, or as many as
                      were active when the limit was lowered or S was paused */
byte most_pending = PLACES;
byte changes = CHANGES;
#else
#define NMORE 0
#define LIMIT(s) (s == MAIN -> 254 : SLOTS)
#define PENDING(s) (s == MAIN -> 254 : PLACES)
#endif

#include "core.pml"

byte next_child = SPAWNERS;
byte budget[NJOBS];
byte cancels = CANCELS;
bool closes = true; /* a job or a callback may still close S */
bool waits;         /* `cur` has called close() and waits for the jobs next */
bool returned;      /* a close() of S has returned */
bool failed;        /* a nursery is to be closed before any other job runs */
hidden byte o_i;

#define spawned(j) (job[j].used && job[j].state != NEW && !ended(j))

/* M1, M3: jobs start in the order of spawning. */
inline check_order(j)
{
  o_i = SPAWNERS;
  do
  :: o_i < j -> assert(job[o_i].started || ended(o_i)); o_i++
  :: else -> break
  od
}

#if CHILDREN > 2
#define third(j) spawned(j)
#else
#define third(j) false
#endif
#if SPAWNERS > 1
#define second(j) spawned(j)
#else
#define second(j) false
#endif
#define can_cancel                                                             \
  (cancels > 0 && (spawned(SPAWNERS) || spawned(SPAWNERS + 1) ||               \
                   third(SPAWNERS + 2) || second(SPAWNERS - 1)))

/* job:cancel() of another job */
inline cancel_any()
{
  cancels--;
  todo = T_CANCEL;
  if
  :: spawned(SPAWNERS) -> to = SPAWNERS
  :: spawned(SPAWNERS + 1) -> to = SPAWNERS + 1
  :: third(SPAWNERS + 2) -> to = SPAWNERS + 2
  :: second(SPAWNERS - 1) -> to = SPAWNERS - 1
  fi
}

inline end_as(st)
{
  todo = T_END;
  to = cur;
  with = st
}

/* The job suspends, because it likes to or because it swallows its
 * cancellation. */
inline suspend(j)
{
  if
  :: job[j].protect = true
  :: true
  fi;
  if
  :: job[j].kill != NEVER && job[j].raised -> tired = true
  :: true
  fi;
  if
  :: todo = T_PARK; list = NOQ; due = 1; op = OP_OTHER
  :: todo = T_PARK; list = NOQ; due = NEVER; op = OP_OTHER
  :: !job[j].protect -> todo = T_YIELD
#ifdef PREEMPT
  :: !tired && interrupted(j) != W_KILLED -> todo = T_PREEMPT
  /* A job that is to be killed is killed and not preempted. */
  :: interrupted(j) == W_KILLED -> end_as(KILLED)
#endif
  fi
}

inline child(j)
{
  if
  :: end_as(DONE)
#ifdef NURSERY
  :: end_as(FAILED)
#endif
  :: job[j].kill != NEVER && job[j].cancel -> suspend(j) /* swallows it */
  :: budget[j] > 0 -> budget[j]--; suspend(j)
  fi
}

/* uj_closing_close() of src/lua/api/closing.c, from a job of another scheduler */
inline wait_closed(j)
{
  waits = false;
  if
  :: sched[S].nlive == 0 && interrupted(j) == W_OK -> returned = true
  :: else -> todo = T_PARK; list = Q_IDLE(S); due = NEVER; op = OP_IDLE
  fi
}

/* uj_spawn_spawn() of src/lua/api/spawn.c */
inline spawn(j)
{
  if
  :: sched[S].closed -> end_as(FAILED)
  :: else ->
     if
     :: interrupted(j) != W_OK ->
        todo = T_PARK; list = NOQ; due = NEVER; op = OP_SPAWN
     :: else -> todo = T_SPAWN; to = next_child; with = S; next_child++
     fi
  fi
}

inline spawner(j)
{
  if
  :: waits -> wait_closed(j)
  :: else ->
     if
     :: next_child < NJOBS -> spawn(j)
     :: end_as(DONE)
     :: closes ->
        closes = false;
        waits = true;
        todo = T_CLOSE_ALL; with = S; last = S; by = j
     :: can_cancel -> cancel_any()
     :: budget[j] > 0 && next_child > SPAWNERS ->
        budget[j]--;
        todo = T_PARK; /* job:join() of the last child, or a sleep */
        due = NEVER;
        if
        :: !ended(next_child - 1) && job[next_child - 1].state != NEW ->
           list = Q_WAITERS(next_child - 1);
           op = OP_WAIT
        :: list = NOQ; op = OP_OTHER
        fi
     fi
  fi
}

inline go_on()
{
  d_step {
    assert(job[cur].sched != S || !returned); /* M9 */
    if
    :: cur >= SPAWNERS -> check_order(cur)
    :: else
    fi;
    job[cur].protect = false; /* the scope of the call is left */
    if
    :: job[cur].op == OP_IDLE && job[cur].wake == W_OK ->
       assert(sched[S].nlive == 0);
       returned = true
    :: else
    fi;
    job[cur].op = OP_NONE
  };
  if
  :: job[cur].wake == W_CANCELLED ->
     job[cur].raised = true;
     job[cur].wake = W_OK;
     if
     :: end_as(CANCELLED)
     :: job[cur].kill != NEVER && cur >= SPAWNERS -> suspend(cur)
     :: budget[cur] > 0 && cur >= SPAWNERS -> budget[cur]--; suspend(cur)
     fi
  :: job[cur].wake == W_CLOSED -> end_as(FAILED)
  :: else ->
     job[cur].wake = W_OK;
     if
     :: cur < SPAWNERS -> spawner(cur)
     :: else -> child(cur)
     fi
  fi
}

#ifdef CHANGES
#define max(a, b) ((a) > (b) -> (a) : (b))

/* While a number of jobs is above its limit it can only fall. The bounds are
 * never raised here, so check() sees a number that exceeds its bound. */
inline lower_bounds()
{
  if
  :: todo == T_MORE -> /* more() has set the bounds together with the limit */
  :: else ->
     most = max(LIMIT(S), min(most, sched[S].nactive));
     most_pending = max(PENDING(S), min(most_pending, sched[S].npending))
  fi
}

#define SET_LIMIT 0
#define SET_PLACES 1
#define PAUSE 2
#define RESUME 3

/* uj_sched_set_limit(), uj_sched_set_pending_limit(), uj_sched_pause(),
 * uj_sched_resume() */
inline more()
{
  most = sched[S].nactive;
  most_pending = sched[S].npending;
  if
  :: to == SET_LIMIT -> limit = with
  :: to == SET_PLACES -> places = with
  :: to == PAUSE -> paused = true; hold_unstarted(S)
  :: to == RESUME -> paused = false
  fi;
  most = max(LIMIT(S), most);
  most_pending = max(PENDING(S), most_pending);
  if
  :: to == RESUME -> release_held(S)
#ifndef BUG_RAISE /* a greater limit takes effect when the next job ends only */
  :: to == SET_LIMIT || to == SET_PLACES -> let_in(S)
#endif
  :: else
  fi
}

inline change_any()
{
  changes--;
  todo = T_MORE;
  if
  :: to = SET_LIMIT; with = 1
  :: to = SET_LIMIT; with = 2
  :: to = SET_PLACES; with = 0
  :: to = SET_PLACES; with = 1
  :: !paused -> to = PAUSE
  :: paused -> to = RESUME
  fi
}
#endif

/* uj_nursery_fail(), which host->ended() calls: the first job of a nursery that
 * fails closes it. */
inline called()
{
#ifdef CHANGES
  lower_bounds();
#endif
  if
  :: todo == T_END ->
     budget[to] = 0;
     failed = (job[to].state == FAILED && job[to].sched == S &&
               !sched[S].closed)
  :: else
  fi
}

inline close_failed()
{
  failed = false;
  todo = T_CLOSE_ALL; with = S; last = S; by = NONE
}

inline begin()
{
  n_i = 0;
  do
  :: n_i < SPAWNERS ->
     job[n_i].used = true;
     job[n_i].sched = MAIN;
     sched_spawn(MAIN, n_i);
     n_i++
  :: else -> break
  od;
  o_i = 0;
  do
  :: o_i < NJOBS -> budget[o_i] = BUDGET; o_i++
  :: else -> break
  od
}

inline outside()
{
  if
  :: true
  :: can_cancel -> cancel_any()
  :: closes && !sched[S].closed ->
     closes = false;
     todo = T_CLOSE_ALL; with = S; last = S; by = NONE
#ifdef CHANGES
  :: changes > 0 -> change_any()
#endif
  fi
}

inline turn_done() { skip }

#include "loop.pml"
