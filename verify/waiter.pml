/* Waiting for something that one job hands over to another: a permit of a
 * semaphore, or a value of a queue (src/core/semaphore.h, queue.c, and job.c for
 * a waiter that stops waiting).
 *
 * The jobs 0 to NJOBS-1 of one scheduler take and give, with or without a time
 * limit, protection, and a deadline of the whole job. Time can pass between any
 * two steps. Between two turns a callback cancels a job or closes the scheduler,
 * so jobs are also killed while they wait.
 *
 *   M4, M6  a job is woken once, and it has what it waited for exactly if its
 *           call succeeded: each permit is free or has one holder, and each
 *           value is in one place
 *   woken   no wake-up is lost: no job waits for what is there
 *   order   values leave the queue in the order in which they were put
 *   ends    all jobs end
 *
 * -DQUEUE=n makes it a queue of that capacity. Without it, it is a semaphore of
 * one permit. */

#ifndef JOBS
#define JOBS 3
#endif
#ifndef BUDGET
#define BUDGET 2
#endif

#define NJOBS JOBS
#define NSCHEDS 1
#define NMORE 2
#define LIMIT(s) 254
#define PENDING(s) 254
#define CLOSE(s) 1
#define MORE

#include "core.pml"

#define Q_GETTERS Q_MORE(0) /* jobs that wait for a value, or for the permit */
#define Q_PUTTERS Q_MORE(1)
#define NO_VALUE 0

byte budget[NJOBS];
byte cancels = 1;
bool closes = true;
byte given[NJOBS];  /* the value that the job puts, or is resumed with */
bool has[NJOBS];    /* the job holds the permit */
byte count;         /* uj_semaphore::count, or how many values are stored */
byte nputs;         /* how many values were put; they are the numbers 1 to this */
byte order[4];      /* the values that are stored */
byte got;           /* how many values came out */
byte taken;         /* bit n: the value n came out */
byte last_out;      /* the value that left the queue last */
byte offered;       /* how many values jobs have tried to put */
bool closed;        /* the queue is closed */
byte what;          /* the call that more() makes */
hidden byte m_j, m_i, m_n;

#define M_ACQUIRE 1
#define M_RELEASE 2
#define M_PUT 3
#define M_GET 4
#define M_SHUT 5

#define OP_GET 7
#define OP_PUT 8

inline take_value(v)
{
  assert(v != NO_VALUE);
  assert(!(taken & (1 << v)));  /* each value comes out once */
  taken = taken | (1 << v);
  got++
}

/* Asserts that values leave the queue in the order in which they were put. */
inline comes_out(v)
{
  assert(v > last_out);
  last_out = v
}

/* uj_waitq_wake_one(): sets `j` to the job, or to NONE. */
inline wake_one(k, j)
{
  if
  :: len(q[k]) > 0 -> first_in(k, j); job_wake(j, W_OK)
  :: else -> j = NONE
  fi
}

inline store(v)
{
  m_i = 0;
  do
  :: m_i < 4 && order[m_i] != NO_VALUE -> m_i++
  :: else -> break
  od;
  order[m_i] = v
}

inline take_first(v)
{
  v = order[0];
  order[0] = order[1];
  order[1] = order[2];
  order[2] = order[3];
  order[3] = NO_VALUE
}

/* The calls of queues and semaphores, as the binding makes them: first it checks
 * whether the job is interrupted (uj_suspend_needed()), then it tries without
 * waiting, then it parks the job. */
inline more()
{
  if
  :: what == M_ACQUIRE ->
     if
     :: interrupted(cur) == W_OK && count > 0 -> /* uj_semaphore_try() */
        count--;
        has[cur] = true
     :: else -> park(cur, Q_GETTERS, due, OP_GET)
     fi
  :: what == M_RELEASE -> /* uj_semaphore_release() */
     has[cur] = false;
     given[cur] = NO_VALUE;
     wake_one(Q_GETTERS, m_j);
     if
     :: m_j == NONE -> count++
#ifdef BUG_KEEP /* the permit is handed over, and is free besides */
     :: else -> has[m_j] = true; count++
#else
     :: else -> has[m_j] = true
#endif
     fi
#ifdef QUEUE
  :: what == M_PUT -> /* uj_queue_put() */
     offered++;
     given[cur] = offered;
     if
     :: interrupted(cur) != W_OK -> park(cur, Q_PUTTERS, due, OP_PUT)
     :: closed -> given[cur] = NO_VALUE
     :: else ->
        wake_one(Q_GETTERS, m_j);
        if
        :: m_j != NONE ->
           nputs++;
           comes_out(given[cur]);
           given[m_j] = given[cur];
           given[cur] = NO_VALUE
        :: else ->
           if
           :: count == QUEUE -> park(cur, Q_PUTTERS, due, OP_PUT)
           :: else -> nputs++; count++; store(given[cur]); given[cur] = NO_VALUE
           fi
        fi
     fi
  :: what == M_GET -> /* uj_queue_get() */
     if
     :: interrupted(cur) != W_OK -> park(cur, Q_GETTERS, due, OP_GET)
     :: else ->
        wake_one(Q_PUTTERS, m_j);
        if
        :: m_j != NONE -> nputs++
        :: else
        fi;
        if
        :: count > 0 ->
           if
           :: m_j == NONE -> count--
           :: else
           fi;
           take_first(m_n);
           comes_out(m_n);
           take_value(m_n);
           if
           :: m_j != NONE -> store(given[m_j]); given[m_j] = NO_VALUE
           :: else
           fi
        :: else ->
           if
           :: m_j != NONE ->
              comes_out(given[m_j]);
              take_value(given[m_j]);
              given[m_j] = NO_VALUE
           :: else ->
              if
              :: closed -> given[cur] = NO_VALUE
              :: else -> park(cur, Q_GETTERS, due, OP_GET)
              fi
           fi
        fi
     fi
  :: what == M_SHUT -> /* uj_queue_close() */
     closed = true;
     do
     :: len(q[Q_GETTERS]) > 0 -> first_in(Q_GETTERS, m_j); job_wake(m_j, W_CLOSED)
     :: len(q[Q_PUTTERS]) > 0 && len(q[Q_GETTERS]) == 0 ->
        first_in(Q_PUTTERS, m_j);
        job_wake(m_j, W_CLOSED)
     :: else -> break
     od
#endif
  fi;
  what = 0;
  m_j = 0
}

inline limit_call()
{
  todo = T_MORE;
  if
  :: due = NEVER
  :: due = 1
  fi;
  if
  :: job[cur].protect = true
  :: true
  fi
}

/* What a job does next, also when its cancellation has been raised in it. */
inline act()
{
  if
  :: todo = T_END; to = cur; with = DONE
#ifdef QUEUE
  :: budget[cur] > 0 -> budget[cur]--; limit_call(); what = M_GET
  :: budget[cur] > 0 && offered < 3 && given[cur] == NO_VALUE ->
     budget[cur]--; limit_call(); what = M_PUT
  :: budget[cur] > 0 && !closed -> budget[cur] = 0; todo = T_MORE; what = M_SHUT
#else
  :: budget[cur] > 0 && !has[cur] -> budget[cur]--; limit_call(); what = M_ACQUIRE
  :: has[cur] -> todo = T_MORE; what = M_RELEASE
  :: has[cur] && given[cur] == NO_VALUE -> /* once it keeps it for a while */
     given[cur] = 1;
     todo = T_PARK; list = NOQ; due = 1; op = OP_OTHER
#endif
  :: budget[cur] > 0 -> budget[cur]--; todo = T_YIELD
  fi
}

/* What the call returns in which the job was suspended: the functions *_waited
 * of the binding. */
inline outcome_of_call()
{
  job[cur].protect = false;
  if
#ifdef QUEUE
  :: job[cur].op == OP_GET && job[cur].wake == W_OK ->
     take_value(given[cur]); /* it was handed over and not lost */
     given[cur] = NO_VALUE
  :: job[cur].op == OP_PUT && job[cur].wake == W_OK ->
     assert(given[cur] == NO_VALUE) /* another job took it */
  :: job[cur].op == OP_PUT && job[cur].wake != W_OK ->
     assert(given[cur] != NO_VALUE); /* no job took it: nothing has happened */
     given[cur] = NO_VALUE
#else
  :: job[cur].op == OP_GET && job[cur].wake == W_OK -> assert(has[cur])
#endif
  :: job[cur].op == OP_GET && job[cur].wake != W_OK ->
     assert(!has[cur] && given[cur] == NO_VALUE)
  :: else
  fi;
  job[cur].op = OP_NONE
}

inline go_on()
{
  d_step { outcome_of_call() };
  if
  :: job[cur].wake == W_CANCELLED || job[cur].wake == W_DEADLINE ->
     job[cur].raised = true;
     job[cur].wake = W_OK;
     if
     :: todo = T_END; to = cur; with = CANCELLED
     :: act()
     fi
  :: else -> job[cur].wake = W_OK; act()
  fi
}

/* Before a job ends that holds the permit, its <close> variable gives the permit
 * back, also when the job is killed. */
#ifdef QUEUE
inline called()
{
  if
  :: todo == T_END && given[to] != NO_VALUE -> given[to] = NO_VALUE
  :: else
  fi;
  /* each value that was put is stored, handed over, or came out */
  m_n = got + count;
  m_i = 0;
  do
  :: m_i < NJOBS ->
     if
     :: given[m_i] != NO_VALUE && job[m_i].op == OP_GET -> m_n++
     :: else
     fi;
     m_i++
  :: else -> break
  od;
  assert(m_n == nputs);
  assert(count == 0 || len(q[Q_GETTERS]) == 0); /* no job waits in vain */
  assert(count == QUEUE || len(q[Q_PUTTERS]) == 0);
  assert(len(q[Q_GETTERS]) == 0 || len(q[Q_PUTTERS]) == 0);
  assert(!closed || (len(q[Q_GETTERS]) == 0 && len(q[Q_PUTTERS]) == 0));
  m_i = 0
}
#else
inline called()
{
  if
  :: todo == T_END && has[to] ->
     has[to] = false;
     given[to] = NO_VALUE;
     wake_one(Q_GETTERS, m_j);
     if
     :: m_j == NONE -> count++
     :: else -> has[m_j] = true
     fi;
     m_j = 0
  :: else
  fi;
  m_n = count;
  m_i = 0;
  do
  :: m_i < NJOBS ->
     m_n = m_n + has[m_i];
     assert(!(has[m_i] && job[m_i].place == AT_WAIT && job[m_i].op == OP_GET));
     m_i++
  :: else -> break
  od;
  assert(m_n == 1);                             /* one permit, in one place */
  assert(count == 0 || len(q[Q_GETTERS]) == 0); /* no job waits in vain */
  m_i = 0
}
#endif

inline begin()
{
#ifndef QUEUE
  count = 1;
#endif
  n_i = 0;
  do
  :: n_i < NJOBS ->
     job[n_i].used = true;
     job[n_i].sched = 0;
     budget[n_i] = BUDGET;
     sched_spawn(0, n_i);
     n_i++
  :: else -> break
  od;
#ifdef DEADLINE
  job[1].deadline = 1; /* the option `timeout` of spawn */
#endif
  n_i = 0
}

inline outside()
{
  if
  :: true
  :: cancels > 0 && lives(1) -> cancels--; todo = T_CANCEL; to = 1
  :: cancels > 0 && lives(2) -> cancels--; todo = T_CLOSE; to = 2; due = 1
  :: closes && !sched[0].closed ->
     closes = false;
     todo = T_CLOSE_ALL; with = 0; last = 0; by = NONE
  fi
}

inline turn_done() { skip }

#include "loop.pml"
