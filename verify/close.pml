/* Closing (src/core/end.c: kill_at(), uj_job_grace(), uj_job_abandon();
 * turn.c: uj_loop_expire(); uj_closing_close() and wait_and_close() of
 * src/lua/api/closing.c).
 *
 * Job 0, the main job, closes the scheduler P or waits for it, or closes C. Job
 * 1 belongs to P and is the parent of C: when it is cancelled it closes C, as
 * the end of a block does. The jobs 2 and 3 belong to C, and each can close C
 * from inside. With -DGOOD they end when they are cancelled, at once or after a
 * clean-up of one tick. Without it they also swallow their cancellation, and
 * compute without end. Several closes can be under way at the same time. With
 * -DSHIELDS job 3 is a shielded function.
 *
 *   ends     every close ends, and so does run()
 *   M8       a job whose time is over has ended two turns later
 *   M9       when close() has returned, no job of the scheduler lives or runs
 *   kills    (-DTICK_IDLE) no parent is killed together with its children, and
 *            with -DGOOD no job is killed at all
 *   abandon  while a job holds the loop, what other jobs are sure to close when
 *            they run is closed on their behalf: uj_loop_expire() */

#define NJOBS 4
#define NSCHEDS 3
#define NMORE 0
#define MAIN 0
#define P 1
#define C 2
#ifndef SLOTS
#define SLOTS 2
#endif
#define LIMIT(s) (s == C -> SLOTS : 254)
#define PENDING(s) 254
#define CLOSE(s) 4

#include "core.pml"

/* What a job is doing. */
#define FREE 0    /* nothing: it can do what it likes next */
#define CLOSED 1  /* it has called uj_sched_close(), and waits next */
#define WAITS 2   /* it waits until the scheduler that it has closed is idle */
#define WAITS_1 3 /* it waits in wait_and_close(), before it closes */
#define INSIDE 4  /* it has closed its own scheduler, and waits next */
#define ALONE 5   /* it waits until the other jobs of that have ended */
#define LAST 6    /* it has cancelled itself, and ends */

byte pc[NJOBS];
byte which[NJOBS];  /* the scheduler that it closes */
byte budget[NJOBS]; /* how many more calls it makes that it need not make */
bool busy[NJOBS];   /* it computes without end */
bool cleaned[NJOBS]; /* it has begun its clean-up */
byte late[NJOBS];   /* how many turns it has outlived its time */
bool returned[NSCHEDS]; /* a close() of the scheduler has returned */
#ifndef GRACE_ONLY
byte cancels = 1;
#else
byte cancels = 0;
#endif
hidden byte o_i, o_t, o_w;

inline end_as(st)
{
  todo = T_END;
  to = cur;
  with = st
}

inline sleeps(d)
{
  todo = T_PARK;
  list = NOQ;
  due = d;
  op = OP_OTHER
}

/* scheduler:close() from another scheduler: close_at_once() */
inline closes(s)
{
  pc[cur] = CLOSED;
  which[cur] = s;
  todo = T_CLOSE_ALL;
  with = s;
  last = s;
  by = cur
}

/* scheduler:wait_and_close(), with a limit of one tick: park_idle() */
inline wait_and_close(s, how)
{
  if
  :: sched[s].nlive == 0 && interrupted(cur) == W_OK -> closes(s)
  :: else ->
     pc[cur] = WAITS_1;
     which[cur] = s;
     job[cur].on_abandon = how;
     job[cur].target = s;
     todo = T_PARK;
     list = Q_IDLE(s);
     due = 1;
     op = OP_IDLE
  fi
}

inline close_inside()
{
  pc[cur] = INSIDE;
  which[cur] = C;
  todo = T_CLOSE_ALL;
  with = C;
  last = C;
  by = cur
}

/* Job j waits until C is idle, and will close C if that takes too long. */
#define waits_for_c(j)                                                         \
  (job[j].place == AT_WAIT && job[j].on_abandon != ABANDON_NOTHING &&          \
   job[j].target == C && job[j].due != NEVER)

inline main_acts()
{
  if
  :: end_as(DONE)
  :: budget[0] > 0 -> budget[0]--; closes(P)
  :: budget[0] > 0 -> budget[0]--; sleeps(1)
#ifndef GRACE_ONLY
  :: budget[0] > 0 -> budget[0]--; closes(C)
  :: budget[0] > 0 -> budget[0]--; wait_and_close(P, ABANDON_CLOSE_LATE)
  :: budget[0] > 0 -> budget[0]--; wait_and_close(C, ABANDON_CLOSE_LATE)
#endif
  fi
}

inline parent_acts()
{
  if
  :: end_as(DONE)
  :: budget[1] > 0 -> budget[1]--; sleeps(NEVER)
#ifndef GRACE_ONLY
  :: budget[1] > 0 -> budget[1]--; closes(C)
#endif
  :: budget[1] > 0 -> budget[1]--; wait_and_close(C, ABANDON_CLOSE)
  fi
}

inline child_acts()
{
  if
  :: end_as(DONE)
  :: budget[cur] > 0 -> budget[cur]--; sleeps(1)
  :: budget[cur] > 0 -> budget[cur]--; sleeps(NEVER)
  :: budget[cur] > 0 ->
     budget[cur]--;
     if
     :: job[cur].protect = true
     :: true
     fi;
     close_inside()
#if !defined(GOOD) && !defined(TICK_IDLE)
  :: job[cur].kill != NEVER || waits_for_c(0) || waits_for_c(1) ->
     busy[cur] = true
#endif
  fi
}

inline act()
{
  if
  :: cur == 0 -> main_acts()
  :: cur == 1 -> parent_acts()
  :: cur > 1 -> child_acts()
  fi
}

/* The cancellation or the deadline of the job has been raised in it. */
inline interrupted_job()
{
  if
  :: cur == 0 -> end_as(CANCELLED)
  :: cur == 1 && !cleaned[1] ->
     cleaned[1] = true;
     job[1].protect = true;
     closes(C)
  :: cur == 1 && cleaned[1] -> end_as(CANCELLED)
#ifndef TICK_IDLE /* it swallows that, and leaves a block */
  :: cur == 1 && !cleaned[1] ->
     cleaned[1] = true;
     wait_and_close(C, ABANDON_CLOSE)
#endif
  :: cur > 1 -> end_as(CANCELLED)
#ifdef GOOD
  :: cur > 1 && !cleaned[cur] ->
     cleaned[cur] = true;
     job[cur].protect = true;
     if
     :: sleeps(1)
     :: close_inside()
     fi
#else
  :: cur > 1 && job[cur].kill != NEVER ->
     if
     :: tired = true
     :: job[cur].protect = true
     :: true
     fi;
     sleeps(NEVER)
#ifndef TICK_IDLE
  :: cur > 1 && job[cur].kill != NEVER -> busy[cur] = true
#endif
#endif
  fi
}

/* The job runs again, and does what the continuations of src/lua/api/closing.c
 * do: waited(), raise_own_cancel() and others. */
inline resumed()
{
  d_step {
    o_w = job[cur].wake;
    job[cur].wake = W_OK;
    job[cur].op = OP_NONE;
    job[cur].protect = false;
    if
    :: pc[cur] == WAITS && o_w == W_OK ->
       assert(sched[which[cur]].nlive == 0); /* M9 */
       returned[which[cur]] = true;
       pc[cur] = FREE
    :: pc[cur] == ALONE && o_w == W_OK ->
       pc[cur] = LAST;
       todo = T_CANCEL;
       to = cur
    :: pc[cur] == WAITS_1 && (o_w == W_OK || o_w == W_TIMEOUT) ->
       closes(which[cur])
    :: else -> pc[cur] = FREE
    fi;
    if
    :: o_w == W_CANCELLED || o_w == W_DEADLINE ->
       job[cur].raised = true;
       pc[cur] = LAST /* until the choice below */
    :: else
    fi
  };
  if
  :: todo != T_NOTHING
  :: todo == T_NOTHING && pc[cur] == LAST -> pc[cur] = FREE; interrupted_job()
  :: todo == T_NOTHING && pc[cur] != LAST -> act()
  fi
}

#define abandons(j)                                                            \
  (job[j].place == AT_READY && job[j].on_abandon != ABANDON_NOTHING)

/* The hook of a job that computes: uj_loop_expire() and uj_job_to_raise(). That
 * it is called in time is proved by sleep.pml. */
inline compute()
{
  if
  :: any(due_now) -> pick_due()
#ifndef BUG_ABANDON
  :: !any(due_now) && nabandoning > 0 -> /* abandon_waits() */
     d_step {
       if
       :: abandons(0) -> o_i = 0
       :: else -> o_i = 1
       fi;
       o_w = job[o_i].on_abandon;
       forget_abandon(o_i);
       if
       :: (o_w == ABANDON_CLOSE && job[o_i].wake != W_OK) ||
          (o_w == ABANDON_CLOSE_LATE && job[o_i].wake == W_TIMEOUT) ->
          todo = T_CLOSE_ALL;
          with = job[o_i].target;
          last = with;
          by = o_i
       :: else
       fi
     }
#endif
  :: !any(due_now) && nabandoning == 0 && interrupted(cur) == W_KILLED ->
     end_as(KILLED)
  :: !any(due_now) && nabandoning == 0 && interrupted(cur) == W_CANCELLED &&
     !job[cur].raised ->
     job[cur].raised = true; /* uj_job_note_raised() */
     if
     :: busy[cur] = false; end_as(CANCELLED)
     :: true /* it catches that and goes on */
     fi
  fi
}

inline go_on()
{
  assert(!returned[job[cur].sched]); /* M9 */
  if
  :: busy[cur] -> compute()
  :: !busy[cur] && pc[cur] == CLOSED ->
     if
     :: sched[which[cur]].nlive == 0 && interrupted(cur) == W_OK ->
        returned[which[cur]] = true;
        pc[cur] = FREE
     :: else ->
        pc[cur] = WAITS;
        todo = T_PARK;
        list = Q_IDLE(which[cur]);
        due = NEVER;
        op = OP_IDLE
     fi
  :: !busy[cur] && pc[cur] == INSIDE -> pc[cur] = ALONE; todo = T_ALONE; with = C
  :: !busy[cur] && pc[cur] == LAST -> end_as(CANCELLED)
  :: !busy[cur] && pc[cur] != CLOSED && pc[cur] != INSIDE && pc[cur] != LAST ->
     resumed()
  fi
}

inline called()
{
  if
  :: todo == T_END ->
#ifdef TICK_IDLE
     assert(with != KILLED || to > 1);
#ifdef GOOD
     assert(with != KILLED);
#endif
#endif
     pc[to] = FREE;
     which[to] = 0;
     busy[to] = false;
     budget[to] = 0;
     cleaned[to] = false;
     late[to] = 0
  :: else
  fi
}

inline begin()
{
  o_i = 0;
  do
  :: o_i < NJOBS ->
     o_t = (o_i > 1 -> C : o_i);
     job[o_i].used = true;
     job[o_i].sched = o_t;
#ifdef SHIELDS
     if
     :: o_i == 3 -> sched_shield(o_t, o_i)
     :: else -> sched_spawn(o_t, o_i)
     fi;
#else
     sched_spawn(o_t, o_i);
#endif
     budget[o_i] = 1;
     o_i++
  :: else -> break
  od
}

inline outside()
{
  if
  :: true
  :: cancels > 0 && lives(1) && job[1].started ->
     cancels--; todo = T_CANCEL; to = 1
  :: cancels > 0 && lives(2) -> cancels--; todo = T_CANCEL; to = 2
  :: cancels > 0 && !sched[C].closed ->
     cancels--; todo = T_CLOSE_ALL; with = C; last = C; by = NONE
  fi
}

/* M8: a job whose time is over has ended two turns later. */
inline turn_done()
{
  o_i = 0;
  do
  :: o_i < NJOBS ->
     if
     :: !ended(o_i) && job[o_i].kill == 0 -> late[o_i]++
     :: else -> late[o_i] = 0
     fi;
     assert(late[o_i] <= 2);
     o_i++
  :: else -> break
  od
}

#include "loop.pml"
