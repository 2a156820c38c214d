/* src/core/turn.c in Promela: a turn of the loop; the clock; and what calls
 * uj_loop_turn(), which is drive_main() and drive_rest() of
 * src/lua/drive/run.c.
 *
 * SPIN copies an inline to each place that uses it. So all calls of the core
 * are made in one place, call(), and `todo` and its arguments say which call
 * comes next. The model that includes this file defines:
 *
 *   begin()     admits the first jobs
 *   go_on()     decides what the job `cur` does next, and sets `todo`
 *   called()    does what follows from a call of the core, in the same step
 *   outside()   decides what callbacks and signals do between two turns, and
 *               sets `todo`
 *   turn_done() asserts what must hold after a turn
 *
 * With TICK_IDLE time passes only while no job is ready, as it does under the
 * virtual clock. Without it time can pass between any two steps. */

#define loop_ready                                                             \
  (len(q[Q_READY]) > 0 || len(q[Q_BATCH]) > 0 || len(q[Q_BUSY]) > 0 ||         \
   len(q[Q_PREEMPTED]) > 0)

#ifdef NURSERY
#define idle (cur == NONE && !failed)
#else
#define idle (cur == NONE)
#endif

/* What the loop does: it waits for the next turn, wakes jobs whose timers have
 * passed, or runs jobs. */
#define AT_WAITING 0
#define AT_EXPIRING 1
#define AT_RUNNING 2

bool finished;  /* run() has returned */
bool asleep;    /* the loop waits */
bool closing;   /* the main job has ended, and all schedulers are closed */
bool gave_up;   /* run() was stuck, and closed all */
bool preempted; /* a job was preempted in this turn, which ends it */
byte at;
byte queue;     /* the list whose jobs this turn runs */
byte batches;   /* how many ran to their end while a busy job waited */
byte todo;
byte to, with, list, due, op, last, by;

inline tick()
{
  t_i = 0;
  do
  :: t_i < NJOBS ->
     if
     :: job[t_i].started && timed(job[t_i].kill) -> job[t_i].kill--
     :: else
     fi;
     if
     :: job[t_i].started && timed(job[t_i].deadline) -> job[t_i].deadline--
     :: else
     fi;
     if
     :: timed(job[t_i].due) -> job[t_i].due--
     :: else
     fi;
     t_i++
  :: else -> break
  od;
  t_i = 0
}

/* Picks any of the timers that have passed. */
inline pick_due()
{
  if
  :: due_now(0) -> to = 0
  :: due_now(1) -> to = 1
  :: due_now(2) -> to = 2
#if NJOBS > 3
  :: due_now(3) -> to = 3
#endif
#if NJOBS > 4
  :: due_now(4) -> to = 4
#endif
#if NJOBS > 5
  :: due_now(5) -> to = 5
#endif
  fi;
  todo = T_WAKE;
  with = job[to].timer_wake
}

/* start(): the time of the job's own deadline begins. */
inline start(j)
{
  job[j].started = true;
  if
  :: job[j].deadline != NEVER ->
     job[j].kill = job[j].deadline + CLOSE(job[j].sched);
     job[j].unwarned = true
  :: else
  fi
}

inline splice(into, from)
{
  do
  :: len(q[from]) > 0 ->
     first_in(from, n_i);
     link_remove(n_i);
     link_append(into, n_i)
  :: else -> break
  od
}

inline next_queue()
{
  if
  :: busy_next && len(q[Q_BUSY]) > 0 -> queue = Q_BUSY
  :: else ->
     if
     :: len(q[Q_BATCH]) == 0 ->
        splice(Q_BUSY, Q_PREEMPTED);
        splice(Q_BATCH, Q_READY)
     :: else
     fi;
     if
#ifndef BUG_STARVE /* a busy job has no turn */
     :: len(q[Q_BATCH]) == 0 -> queue = Q_BUSY
#endif
     :: else -> queue = Q_BATCH
     fi
  fi;
  n_i = 0
}

/* uj_job_abandon() for a job that is killed while it leaves a wait that closes
 * a scheduler. */
inline abandon_killed()
{
  if
  :: job[cur].wake == W_KILLED && job[cur].on_abandon == ABANDON_CLOSE ->
#ifndef BUG_ORPHANS
     sched_close_within(job[cur].target, NONE, NEVER);
#endif
     assert(sched[job[cur].target].closed)
  :: else
  fi
}

/* run_first() and run_job(), until they call host->resume(). */
inline run_first()
{
  first_in(queue, cur);
  link_remove(cur);
  job[cur].place = AT_NONE;
  abandon_killed();
  forget_abandon(cur);
  assert(!ended(cur));
  if
  :: job[cur].wake == W_KILLED -> /* host->kill() */
     todo = T_END;
     to = cur;
     with = KILLED
  :: else ->
     if
     :: !job[cur].started ->
        assert(!sched[job[cur].sched].closed); /* M9 */
#ifdef CHANGES
        assert(!(paused && job[cur].sched == S));
#endif
        start(cur)
     :: else
     fi
  fi
}

/* Between two turns of busy jobs no more than one batch is run to its end. */
inline check_busy()
{
  if
  :: queue == Q_BUSY || len(q[Q_BUSY]) == 0 -> batches = 0
  :: else ->
     batches = batches + (len(q[Q_BATCH]) == 0 -> 1 : 0);
#ifndef BUG_STARVE /* that is found as a run that does not end */
     assert(batches <= 1)
#endif
  fi
}

inline end_turn()
{
  busy_next = (queue == Q_BATCH && len(q[queue]) == 0);
#if defined(BUG_BUSY) || defined(BUG_STARVE) /* a batch follows on a batch */
  busy_next = false;
#endif
  check_busy();
  preempted = false;
  queue = 0;
  at = AT_WAITING;
  turn_done();
  if
  :: ended(0) && !closing ->
     closing = true;
     todo = T_CLOSE_ALL;
     with = 0;
     last = NSCHEDS - 1;
     by = NONE
  :: else
  fi
}

/* Makes the call of the core that `todo` names. */
inline call()
{
  if
  :: todo == T_NOTHING
  :: todo == T_WAKE -> d_step { job_wake(to, with); n_i = 0 }
  :: todo == T_PARK -> d_step { park(cur, list, due, op); n_i = 0 }
  :: todo == T_YIELD -> d_step { yield(cur); n_i = 0 }
  :: todo == T_PREEMPT -> d_step { preempt(cur); preempted = true }
  :: todo == T_CANCEL || todo == T_CLOSE ->
     d_step {
       if
       :: todo == T_CLOSE && !ended(to) && job[to].started -> kill_at(to, due)
       :: else
       fi;
       job_cancel(to);
       n_i = 0
     }
  :: todo == T_SPAWN ->
     d_step {
       job[to].used = true;
       job[to].sched = with;
       if
       :: has_room(with) -> sched_spawn(with, to)
       :: else -> sched_block(with, to, cur)
       fi;
       n_i = 0
     }
  :: todo == T_CLOSE_ALL ->
     d_step {
       do
       :: with <= last -> sched_close_within(with, by, NEVER); with++
       :: else -> break
       od;
       n_i = 0
     }
  :: todo == T_ALONE -> d_step { sched_wait_alone(with, cur); n_i = 0 }
  :: todo == T_END -> d_step { job_end(to, with); n_i = 0 }
#ifdef MORE
  :: todo == T_MORE -> d_step { more(); n_i = 0 }
#endif
  fi
}

active proctype loop_thread()
{
  d_step {
    n_i = 0;
    do
    :: n_i < NJOBS ->
       job[n_i].queue = NOQ;
       job[n_i].due = NEVER;
       job[n_i].deadline = NEVER;
       job[n_i].kill = NEVER;
       job[n_i].target = NONE;
       n_i++
    :: else -> break
    od;
    begin();
    n_i = 0
  };
  do
  :: atomic {
       if
#ifdef NURSERY
       :: failed -> close_failed()
       :: !failed && cur != NONE -> go_on()
#else
       :: cur != NONE -> go_on()
#endif
       :: idle && at == AT_WAITING && !asleep && any(lives) &&
          (loop_ready || any(armed)) ->
          outside();
          at = AT_EXPIRING;
          asleep = !loop_ready
       :: asleep && (any(due_now) || loop_ready) -> asleep = false
       :: idle && at == AT_WAITING && any(lives) && !loop_ready && !any(armed) ->
          /* give_up(): nothing can wake a job. Once all schedulers have been
           * closed that must not happen: a wake-up would have been lost. */
          assert(!closing && !gave_up);
          gave_up = true;
          todo = T_CLOSE_ALL;
          with = 0;
          last = NSCHEDS - 1;
          by = NONE
       :: idle && at == AT_WAITING && !any(lives) -> break
       :: idle && at == AT_EXPIRING && !asleep ->
          if
          :: any(due_now) -> pick_due()
          :: else -> d_step { next_queue(); at = AT_RUNNING }
          fi
       :: idle && at == AT_RUNNING ->
          if
          :: len(q[queue]) > 0 && !preempted -> d_step { run_first() }
          :: else -> d_step { end_turn() }
          fi
       fi;
       call();
       d_step {
         called();
         if
         :: cur != NONE && (job[cur].place != AT_NONE || ended(cur)) ->
            cur = NONE;
            if /* a busy job has the turn for itself */
            :: queue == Q_BUSY -> preempted = true
            :: else
            fi
         :: else
         fi;
         check();
         todo = T_NOTHING;
         to = 0;
         with = 0;
         list = 0;
         due = 0;
         op = 0;
         last = 0;
         by = 0
       }
     }
  od;
  finished = true
}

active proctype clock()
{
  do
  :: finished -> break
  :: atomic {
#ifdef TICK_IDLE
       asleep && !any(due_now) && any(counts) -> d_step { tick() }
#else
       any(counts) -> d_step { tick() }
#endif
     }
  od
}

ltl ends { <> finished }
