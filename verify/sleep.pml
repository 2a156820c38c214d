/* The places where two threads meet. A thread that goes to sleep must not miss
 * what should wake it. Each statement here is one load, one store, or one call
 * that is atomic by itself. The atomics of the code are sequentially consistent,
 * so to interleave these statements in all ways covers all executions.
 *
 *   MONITOR  src/loop/monitor.c: park(), look(), uj_watch_sleep(),
 *            uj_watch_wake(), uj_watch_tick(), uj_watch_interrupt_at(); and
 *            on_signal() of src/loop/poke.c
 *     hears  a job that runs on and on is interrupted. So the monitor does not
 *            sleep for good while a loop is awake
 *   BELL     src/loop/task.c, signals.c, driver.c and service.c; uj_poll() and
 *            uj_outside_wait() of src/lua/drive: a function in a thread
 *            ends, a service answers twice, and a signal comes
 *     wakes  the end of the task reaches its job, the answers are heard, and
 *            the signal reaches the main job
 *   EMBED    uj_embed_arm() of src/lua/drive/embed.c, uj_job_make_ready():
 *            what makes a job ready between two steps of a host's loop sets the
 *            alarm
 *     steps  such a job runs */

#ifdef MONITOR

#ifndef LOOPS
#define LOOPS 1
#endif
#define STRETCHES 2 /* jobs that each loop runs; the last one never ends */

bool sleeps[LOOPS];     /* uj_watch::asleep */
byte ticks[LOOPS];      /* uj_watch::tick */
byte since[LOOPS];      /* uj_watch::since_tick */
bool sent[LOOPS];       /* uj_poke::sent */
bool raised[LOOPS];     /* the signal is pending in the thread */
bool heard[LOOPS];      /* the last job of the loop was interrupted */
bool parked;
bool lock;              /* monitor.lock is held */
bool signalled;         /* monitor.changed */
bool waits;             /* the monitor is in uv_cond_wait() */
byte wants;             /* how many loops wait for the lock */

/* A loop takes the lock. It gets that while the monitor is in its timed wait. */
inline take_lock()
{
  wants++;
  atomic { !lock -> lock = true; wants-- }
}
inline give_lock() { lock = false }

/* A loop waits for I/O or does not, and runs a job, STRETCHES times. */
proctype loop_thread(byte i)
{
  byte n;
  do
  :: n < STRETCHES ->
     if
     :: /* uj_outside_wait() */
        sleeps[i] = true;
        skip; /* uj_driver_wait() */
        /* uj_watch_wake() */
#ifdef BUG_ORDER /* it reads `parked` before it notes that it is awake */
        if
        :: parked -> sleeps[i] = false; take_lock(); signalled = waits; give_lock()
        :: !parked -> sleeps[i] = false
        fi
#else
        sleeps[i] = false;
        if
        :: parked -> take_lock(); signalled = waits; give_lock()
        :: !parked
        fi
#endif
     :: true
     fi;
     n++;
     ticks[i]++; /* uj_watch_tick(): a job begins to run */
     if
     :: n == STRETCHES -> /* it runs for ever; the handler runs in it */
        do
        :: atomic {
             raised[i] ->
             raised[i] = false;
             if
             :: sent[i] -> sent[i] = false; heard[i] = true; break
             :: else
             fi
           }
        od
     :: n < STRETCHES ->
        if
        :: atomic { raised[i] -> raised[i] = false; sent[i] = false }
        :: true
        fi
     fi;
     ticks[i]++ /* the job has suspended */
  :: n == STRETCHES -> break
  od;
  sleeps[i] = true
}

/* watch_loops() calls look() again and again. Its timed wait can end at any
 * moment, and its untimed one, in park(), when it is signalled. */
proctype monitor()
{
  byte i, tick;
  bool any;
  atomic { !lock -> lock = true };
end:
  do
  :: i = 0;
     any = false;
     do
     :: i < LOOPS ->
        if
        :: !sleeps[i] -> /* look_at() */
           any = true;
           tick = ticks[i];
           if
           :: tick != since[i] -> since[i] = tick
           :: tick == since[i] && tick % 2 == 1 -> /* uj_poke_send() */
              sent[i] = true;
              raised[i] = true
           :: else
           fi
        :: sleeps[i]
        fi;
        i++
     :: i == LOOPS -> break
     od;
     i = 0;
     tick = 0;
     if
     :: any -> /* uv_cond_timedwait() */
        give_lock();
        atomic { !lock && wants == 0 -> lock = true }
     :: !any -> /* park() */
        parked = true;
        any = false;
        do
        :: i < LOOPS -> any = any || !sleeps[i]; i++
        :: i == LOOPS -> break
        od;
        if
#ifdef BUG_PARK /* it does not look at the loops again after it set `parked` */
        :: true ->
#else
        :: any
        :: !any ->
#endif
           atomic { waits = true; signalled = false; give_lock() };
end_park:  atomic { signalled -> signalled = false; waits = false };
           atomic { !lock -> lock = true }
        fi;
        parked = false
     fi
  od
}

init
{
  atomic {
    run monitor();
    run loop_thread(0);
#if LOOPS > 1
    run loop_thread(1)
#else
    skip
#endif
  }
}

ltl hears { <> heard[0] }
#endif

#ifdef BELL

#define ANSWERS 2 /* of the service, each at any time */

bool rung;           /* uj_driver::rung */
bool waits;          /* uj_driver::waits */
bool bell;           /* what was written to the bell has not been read */
bool signal_in;      /* a signal is in libuv's pipe */
bool noted;          /* the number in uj_signals::came */
bool ended;          /* the task is in uj_tasks::ended */
byte answers;        /* in uj_service::answers */
bool woken;          /* the job of the task is ready or has run */
byte heard;          /* answers */
bool cancelled;      /* the main job has been cancelled by the signal */
bool watches = true; /* luv's descriptor is watched; once, that ends */

/* uj_driver_wake(); `was` is a variable of the caller. */
inline wake(was)
{
  atomic { was = rung; rung = true };
  if
  :: was
  :: !was ->
     if
     :: waits -> bell = true
     :: !waits
     fi
  fi
}

/* uv_run(): calls on_bell() and on_signal() for what has come. */
inline uv_run_nowait()
{
  if
  :: bell ->
#ifdef HOSTED
#ifdef BUG_READ /* it forgets that it was rung before it has read the bell */
     rung = false;
     bell = false
#else
     bell = false;
     rung = false
#endif
#else
     bell = false;
#ifdef BUG_HEARD /* a poll, after which nobody looks for news, forgets it */
     rung = false
#endif
#endif
  :: !bell
  fi;
  d_step {
    if
    :: signal_in -> signal_in = false; noted = true
    :: else
    fi
  }
}

/* uj_work_wake_ended(), uj_services_hear(), uj_ending_take_signal() */
inline look_for_news()
{
  if
  :: ended -> ended = false; woken = true
  :: else
  fi;
  d_step { heard = heard + answers; answers = 0 };
  if
  :: noted -> noted = false; cancelled = true
  :: else
  fi
}

/* uj_outside_wait() */
inline uj_outside_wait()
{
  if
  :: watches -> watches = false; uv_run_nowait() /* close_watch() */
  :: true
  fi;
  /* uj_driver_wait() */
#ifdef BUG_ASLEEP /* it looks whether it was rung, and says then that it waits */
  atomic { was = rung; rung = false };
  waits = true;
#else
  waits = true;
  atomic { was = rung; rung = false };
#endif
  if
  :: was -> uv_run_nowait()
  :: !was && ended -> uv_run_nowait()
#ifndef BUG_SIGNAL /* it waits although uv_run() has seen the signal */
  :: !was && noted -> uv_run_nowait()
#endif
  :: else -> (bell || signal_in); uv_run_nowait()
  fi;
  rung = false;
  waits = false
}

#define all_came (woken && heard == ANSWERS && cancelled)

active proctype loop_thread()
{
  bool was;
#ifdef HOSTED
  waits = true; /* uj_driver_fd() */
  atomic { was = rung; rung = false };
  if
  :: was -> wake(was)
  :: !was
  fi;
  do
  :: all_came -> break
  :: !all_came ->
     (bell || signal_in); /* the host's loop waits */
     if
     :: true -> uv_run_nowait() /* a poll in a busy job */
     :: true
     fi;
     uv_run_nowait(); /* uj_embed_arm() */
     look_for_news()
  od
#else
  do
  :: all_came -> break
  :: !all_came ->
     /* uj_loop_turn(): jobs run for some time */
     if
     :: true -> uv_run_nowait() /* jobs are ready: uj_poll() does not wait */
     :: true -> uj_outside_wait()
     fi;
     look_for_news()
  od
#endif
}

active proctype task_thread()
{
  bool was;
  ended = true; /* task->run() has returned */
  wake(was)
}

active proctype service_thread()
{
  bool was;
  byte n;
  do
  :: n < ANSWERS -> answers++; wake(was); n++
  :: n == ANSWERS -> break
  od
}

active proctype sender()
{
  signal_in = true /* libuv's handler writes into its pipe */
}

ltl wakes { <> all_came }
#endif

#ifdef EMBED

#define JOBS 3 /* how many jobs become ready, each at any time */

byte nready;   /* how many jobs are ready */
byte nran;     /* how many have run */
byte nmade;    /* how many have been made ready */
bool asleep;   /* uj_loop_set_asleep() */
bool alarm;    /* the alarm has gone off: the descriptor is readable */
byte n;

/* uj_job_make_ready() */
inline make_ready()
{
  d_step {
    nmade++;
    nready++;
    if
    :: asleep -> asleep = false; alarm = true /* host->wake() */
    :: else
    fi
  }
}

/* uj_embed_arm() */
inline settle()
{
  d_step {
    alarm = (nready > 0); /* uj_driver_set_alarm(uj_loop_due()) */
#ifdef BUG_SETTLE /* asleep is set only by a step that has run a job */
    asleep = (nready == 0 && nran > 0)
#else
    asleep = (nready == 0)
#endif
  }
}

/* The host's loop calls callbacks of its own, and step() when the descriptor is
 * readable. It is one thread, so each callback is one step here. */
active proctype host()
{
  settle(); /* embed() */
end:
  do
  :: nmade < JOBS -> make_ready() /* in a callback, or in none */
  :: alarm ->
     /* step() of embed.c */
     asleep = false;
     n = nready; /* one turn runs no job that becomes ready in it */
     do
     :: n > 0 -> n--; nready--; nran++
     :: n > 0 && nmade < JOBS -> n--; nready--; nran++; make_ready()
     :: n == 0 -> break
     od;
     settle()
  :: nmade == JOBS && !alarm -> assert(nready == 0); break
  od
}

ltl steps { <> (nran == JOBS) }
#endif
