/* Jobs on top of others: the part of src/core/turn.c that scheduler.pml and
 * close.pml leave out, uj_loop_cover() and what follows from it; and who calls
 * that, uj_drive_go_round() of src/lua/drive/round.c.
 *
 * A job that cannot be preempted is covered: a round of the loop stands on it,
 * on the same C stack. So here the loop is a stack of frames. Frame 0 is that
 * of run(); frame d > 0 is the round that stands on the job on[d], and calls
 * turns until that job may go on. Time is left out, and so is how jobs end: a
 * job that leaves the ready lists can come back at any moment, so what is
 * proved holds whatever wakes jobs and kills them.
 *
 *   safety    no job runs that is on the stack; a turn runs no job that became
 *             ready after it began (M11), although turns of other frames have
 *             replaced the batch; a covered job goes on when all that were
 *             ready have run, and is in no list then
 *   runs      a job that is ready runs at some time
 *   goes_on   a covered job goes on at some time, if those on top of it do not
 *             compute for ever: with SLICES a job is covered so often at most
 *             before it gives way. What is to be raised in it, and its end by
 *             force, wait for that: it is the one exception from M8 */

#ifndef NJOBS
#define NJOBS 4
#endif
#ifndef DEPTH
#define DEPTH 2 /* rounds that can stand on each other */
#endif

#define NONE 15
#define BIT(j) (1 << (j))

#define Q_READY 0
#define Q_BATCH 1
#define Q_PREEMPTED 2
#define Q_BUSY 3

#define AWAY 0 /* it waits, and may be woken at any moment */
#define LISTED 1
#define ON_STACK 2 /* others run on top of it; it can be listed, too */
#define RUNS 3

chan q[4] = [NJOBS] of { byte };
byte is[NJOBS];     /* the above */
byte cur = NONE;    /* the job that runs */
byte covered = NONE;
bool busy_next;
byte depth;

byte on[DEPTH + 1];       /* the job that the frame stands on */
byte queue[DEPTH + 1];    /* the list that its turn runs */
byte fresh[DEPTH + 1];    /* jobs that became ready since its turn began */
byte owed[DEPTH + 1];     /* jobs that were ready when on[] was covered */
bool in_turn[DEPTH + 1];
bool preempted[DEPTH + 1]; /* uj_loop::preemptions is not what it was */
bool covers[DEPTH + 1];    /* uj_loop::covers is not what it was */
bool again[DEPTH + 1];     /* uj_loop_cover_again() was called */

#ifdef SLICES
byte slices[NJOBS]; /* how often it can still be covered before it gives way */
#endif

byte i, n, x;

inline all_in(list, mask)
{
  n = len(q[list]);
  do
  :: n > 0 -> q[list] ? x; q[list] ! x; mask = mask | BIT(x); n--
  :: else -> break
  od;
  x = 0
}

inline make_ready(j)
{
  is[j] = LISTED;
  q[Q_READY] ! j;
  i = 0;
  do
  :: i <= depth -> fresh[i] = fresh[i] | BIT(j); i++
  :: else -> break
  od;
  i = 0
}

inline put_first(list, j)
{
  n = len(q[list]);
  q[list] ! j;
  do
  :: n > 0 -> q[list] ? x; q[list] ! x; n--
  :: else -> break
  od;
  x = 0
}

inline splice(into, from)
{
  do
  :: len(q[from]) > 0 -> q[from] ? x; q[into] ! x
  :: else -> break
  od;
  x = 0
}

/* uj_job_preempt(): it ends the turns of all frames. */
inline preempt(j)
{
  q[Q_PREEMPTED] ! j;
  i = 0;
  do
  :: i <= depth -> preempted[i] = true; i++
  :: else -> break
  od;
  i = 0
}

/* uj_loop_uncover() */
inline uncover()
{
  if
  :: q[Q_PREEMPTED] ?? [eval(covered)] -> q[Q_PREEMPTED] ?? eval(covered)
  :: else -> q[Q_BUSY] ?? eval(covered)
  fi;
  covered = NONE
}

/* uj_loop_cover(), and the beginning of uj_drive_go_round() */
inline cover()
{
#ifndef BUG_LINE /* the job below stays in line */
  if
  :: covered != NONE -> uncover()
  :: else
  fi;
#endif
#ifdef SLICES
  slices[cur]--;
#endif
  covered = cur;
  i = 1;
  do
  :: i <= depth -> covers[i] = true; i++
  :: else -> break
  od;
  busy_next = false;
  preempt(cur);
#ifdef BUG_NEXT /* it has its turn before those that are ready */
  splice(Q_BUSY, Q_PREEMPTED);
  busy_next = true;
#endif
  is[cur] = ON_STACK;
  depth++;
  on[depth] = cur;
  covers[depth] = false;
  again[depth] = false;
  owed[depth] = 0;
  all_in(Q_READY, owed[depth]);
  all_in(Q_BATCH, owed[depth]);
  cur = NONE
}

/* uj_loop_cover_again() */
inline cover_again()
{
  assert(covered == NONE);
  covered = on[depth];
  busy_next = false;
  put_first(Q_BUSY, covered);
  again[depth] = true
}

/* The end of uj_drive_go_round(): the job goes on. */
inline take_up()
{
  assert(covered != on[depth]);
  i = 0;
  do
  :: i < 4 -> assert(!(q[i] ?? [eval(on[depth])])); i++
  :: else -> break
  od;
  i = 0;
  assert(owed[depth] == 0);
  cur = on[depth];
  is[cur] = RUNS;
  on[depth] = 0;
  covers[depth] = false;
  again[depth] = false;
  fresh[depth] = 0;
  preempted[depth] = false;
  queue[depth] = 0;
  depth--
}

inline next_queue()
{
  if
  :: busy_next && len(q[Q_BUSY]) > 0 -> queue[depth] = Q_BUSY
  :: else ->
     if
     :: len(q[Q_BATCH]) == 0 ->
        splice(Q_BUSY, Q_PREEMPTED);
        splice(Q_BATCH, Q_READY)
     :: else
     fi;
     queue[depth] = (len(q[Q_BATCH]) == 0 -> Q_BUSY : Q_BATCH)
  fi
}

/* uj_loop_turn(), until it runs the first job */
inline begin_turn()
{
  in_turn[depth] = true;
  preempted[depth] = false;
  fresh[depth] = 0;
  next_queue();
#ifndef BUG_RUN_COVERED /* the turn of a covered job is like any other's */
  if
  :: covered != NONE && queue[depth] == Q_BUSY && q[Q_BUSY] ? [eval(covered)] ->
     uncover();
     preempted[depth] = true /* it is all that this turn runs */
  :: else
  fi
#endif
}

/* The first of the list runs, and if it is busy, nothing else in this turn. */
inline run_first()
{
  q[queue[depth]] ? cur;
  assert(is[cur] == LISTED);
  assert(queue[depth] == Q_BUSY || (fresh[depth] & BIT(cur)) == 0);
  is[cur] = RUNS;
#ifdef SLICES
  slices[cur] = SLICES;
#endif
  i = 1;
  do
  :: i <= depth -> owed[i] = owed[i] & (255 - BIT(cur)); i++
  :: else -> break
  od;
  i = 0;
  if
  :: queue[depth] == Q_BUSY -> preempted[depth] = true
  :: else
  fi
}

inline end_turn()
{
#ifndef BUG_STARVE /* a batch follows on a batch */
  busy_next = (queue[depth] == Q_BATCH && len(q[Q_BATCH]) == 0);
#endif
  in_turn[depth] = false
}

#define any_listed \
  (len(q[Q_READY]) + len(q[Q_BATCH]) + len(q[Q_PREEMPTED]) + len(q[Q_BUSY]) > 0)
#define round_is_over (depth > 0 && covered != on[depth])

/* Something wakes a job that is away. */
inline wake()
{
  if
  :: is[0] == AWAY -> make_ready(0)
  :: is[1] == AWAY -> make_ready(1)
#if NJOBS > 2
  :: is[2] == AWAY -> make_ready(2)
#endif
#if NJOBS > 3
  :: is[3] == AWAY -> make_ready(3)
#endif
  fi
}

#if NJOBS > 3
#define any_away \
  (is[0] == AWAY || is[1] == AWAY || is[2] == AWAY || is[3] == AWAY)
#else
#define any_away (is[0] == AWAY || is[1] == AWAY || is[2] == AWAY)
#endif

active proctype loop_thread()
{
  d_step {
    on[0] = NONE;
    i = 0;
    do
    :: i < NJOBS -> is[i] = LISTED; q[Q_READY] ! i; i++
    :: else -> break
    od;
    i = 0
  };
  do
  :: atomic { /* a job gives way, waits, is preempted, or wakes another one */
       cur != NONE ->
       if
       :: d_step { make_ready(cur); cur = NONE }
       :: d_step { is[cur] = AWAY; cur = NONE }
       :: d_step { is[cur] = LISTED; preempt(cur); cur = NONE }
       :: any_away -> wake()
#ifdef SLICES
       :: depth < DEPTH && slices[cur] > 0 -> d_step { cover() }
#else
       :: depth < DEPTH -> d_step { cover() }
#endif
       fi
     }
  :: atomic { /* timers and I/O before a turn */
       cur == NONE && !in_turn[depth] && !round_is_over && any_away -> wake()
     }
  :: d_step {
       cur == NONE && !in_turn[depth] && !round_is_over && any_listed ->
       begin_turn()
     }
  :: d_step {
       cur == NONE && !in_turn[depth] && round_is_over ->
       if
#ifndef BUG_AGAIN /* a job that has left the line early goes on at once */
       :: covers[depth] && !again[depth] -> cover_again()
#endif
       :: else -> take_up()
       fi
     }
  :: d_step {
       cur == NONE && in_turn[depth] ->
       if
       :: len(q[queue[depth]]) > 0 && !preempted[depth] -> run_first()
       :: else -> end_turn()
       fi
     }
  od
}

ltl runs { [] (is[0] == LISTED -> <> (is[0] == RUNS)) }
ltl goes_on { [] (is[0] == ON_STACK -> <> (is[0] == RUNS)) }
