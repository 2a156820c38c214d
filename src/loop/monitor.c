#include "loop/monitor.h"

#include <pthread.h>
#include <signal.h>
#include <uv.h>

#include "loop/driver.h"
#include "loop/signals.h"

/* The monitor looks four times in the shortest span that a loop asks for, but
 * its looks are never closer than the first of these, and never farther apart
 * than the second. A look costs some microseconds. */
#define LOOK_MIN_NS UINT64_C(250000)
#define LOOK_MAX_NS UINT64_C(5000000)

/* While a C function runs nobody hears the signal, so it is sent again: after
 * one look, then two, four and so on, up to this time. */
#define PAUSE_MAX_NS UINT64_C(1000000000)

/* What belongs to the process: the thread, and what it watches. `life` is held
 * while the thread begins or ends, `lock` while it looks. */
static struct {
  pthread_once_t once;
  uv_mutex_t life;
  uv_mutex_t lock;
  uv_cond_t changed;
  uv_thread_t thread;
  bool runs;  /* the thread exists */
  bool stop;  /* the thread must end */
  int nquiet; /* looks in a row that found all loops asleep since the last */
  struct uj_watch *watches;
} monitor = {.once = PTHREAD_ONCE_INIT};

/* Set while the monitor sleeps until a loop wakes up, which it does after so
 * many looks that found all loops asleep. Waking the monitor costs a loop more
 * than a look costs the monitor, so it stays awake while a loop wakes up often.
 */
static atomic_bool parked;
enum { QUIET_LOOKS = 2 };

/* What the thread is to call, or NULL. */
static void (*_Atomic errand)(void);

void uj_monitor_send(void (*fn)(void))
{
  atomic_store(&errand, fn);
}

/* ---- the thread --------------------------------------------------------- */

static void do_errand(void)
{
  void (*fn)(void) = atomic_exchange(&errand, NULL);
  if (fn == NULL)
    return;
  uv_mutex_unlock(&monitor.lock);
  fn();
  uv_mutex_lock(&monitor.lock);
}

/* When to interrupt the running job. A signal for the process is a reason, too,
 * but only after the job has run for its span: a job that suspends sooner hears
 * of the signal then. */
static uint64_t due_at(struct uj_watch *watch, uint64_t tick, uint64_t now_ns)
{
  uint64_t first_ns =
      uj_clock_add(atomic_load(&watch->since_ns), atomic_load(&watch->span_ns));
  unsigned signals = uj_signals_count();
  if (signals != watch->signals && first_ns <= now_ns) {
    watch->signals = signals;
    return 1; /* at once */
  }
  return atomic_load(&watch->due_tick) == tick ? atomic_load(&watch->due_ns)
                                               : first_ns;
}

/* Looks at one loop. Returns when to look again, at the latest. */
static uint64_t look_at(struct uj_watch *watch, uint64_t now_ns,
                        uint64_t look_ns)
{
  uint64_t tick = atomic_load(&watch->tick), due_ns;
  atomic_store(&watch->look_ns, now_ns);
  if (tick != atomic_load(&watch->since_tick)) {
    atomic_store(&watch->since_ns, now_ns);
    atomic_store(&watch->since_tick, tick);
    watch->sent_ns = 0;
    if (atomic_load(&watch->due_tick) != tick)
      return now_ns + look_ns;
  }
  if (tick % 2 == 0)
    return now_ns + look_ns;
  due_ns = due_at(watch, tick, now_ns);
  if (due_ns > now_ns)
    return uj_clock_min(due_ns, now_ns + look_ns);
  if (watch->sent_ns != due_ns) { /* what was sent before has been heard */
    watch->sent_ns = due_ns;
    watch->resend_ns = now_ns;
    watch->pause_ns = look_ns;
  }
  if (watch->resend_ns <= now_ns) {
    uj_poke_send(&watch->poke);
    watch->resend_ns = now_ns + watch->pause_ns;
    watch->pause_ns = uj_clock_min(watch->pause_ns * 2, PAUSE_MAX_NS);
  }
  return now_ns + look_ns;
}

/* Asks for a sample of the job that runs, if it is time. Samples that nobody
 * has taken before another stretch begins are lost. Returns when to do so
 * again. */
static uint64_t sample(struct uj_watch *watch, uint64_t now_ns)
{
  uint64_t sample_ns = atomic_load(&watch->sample_ns);
  uint64_t tick = atomic_load(&watch->tick);
  if (sample_ns == 0)
    return UJ_NEVER;
  if (now_ns < watch->next_sample_ns)
    return uj_clock_min(watch->next_sample_ns, now_ns + sample_ns);
  watch->next_sample_ns =
      uj_clock_max(watch->next_sample_ns + sample_ns, now_ns);
  if (tick % 2 == 1) {
    if (tick != watch->sample_tick)
      atomic_store(&watch->samples, 0);
    watch->sample_tick = tick;
    atomic_fetch_add(&watch->samples, 1);
    uj_poke_send(&watch->poke);
  }
  return watch->next_sample_ns;
}

static uint64_t look_span(void)
{
  uint64_t span_ns = 4 * LOOK_MAX_NS;
  for (struct uj_watch *watch = monitor.watches; watch != NULL;
       watch = watch->next)
    span_ns = uj_clock_min(span_ns, atomic_load(&watch->span_ns));
  return uj_clock_max(span_ns / 4, LOOK_MIN_NS);
}

static bool all_asleep(void)
{
  for (struct uj_watch *watch = monitor.watches; watch != NULL;
       watch = watch->next)
    if (!atomic_load(&watch->asleep))
      return false;
  return true;
}

/* Whether a loop that is asleep has been so since the last look. */
static bool stayed_asleep(struct uj_watch *watch, uint64_t now_ns)
{
  uint64_t tick = atomic_load(&watch->tick);
  if (tick == atomic_load(&watch->since_tick))
    return true;
  atomic_store(&watch->since_ns, now_ns);
  atomic_store(&watch->since_tick, tick);
  return false;
}

/* A loop that wakes up first says so and then looks at `parked`, and the
 * monitor does the opposite. So one of the two always sees the other. */
static void park(void)
{
  atomic_store(&parked, true);
  if (all_asleep())
    uv_cond_wait(&monitor.changed, &monitor.lock);
  atomic_store(&parked, false);
  monitor.nquiet = 0;
}

static void look(void)
{
  uint64_t now_ns = uj_driver_now(), next_ns = UJ_NEVER;
  uint64_t look_ns = look_span();
  bool quiet = true;
  for (struct uj_watch *watch = monitor.watches; watch != NULL;
       watch = watch->next) {
    if (atomic_load(&watch->asleep)) {
      quiet = stayed_asleep(watch, now_ns) && quiet;
      continue;
    }
    next_ns = uj_clock_min(next_ns, look_at(watch, now_ns, look_ns));
    next_ns = uj_clock_min(next_ns, sample(watch, now_ns));
    quiet = false;
  }
  monitor.nquiet = quiet ? monitor.nquiet + 1 : 0;
  if (monitor.nquiet >= QUIET_LOOKS)
    park();
  else
    (void)uv_cond_timedwait(
        &monitor.changed, &monitor.lock,
        uj_clock_max(uj_clock_min(next_ns, now_ns + look_ns), now_ns + 1) -
            now_ns);
}

static void watch_loops(void *arg)
{
  (void)arg;
  uv_mutex_lock(&monitor.lock);
  while (!monitor.stop) {
    look();
    if (atomic_load_explicit(&errand, memory_order_relaxed) != NULL)
      do_errand();
  }
  uv_mutex_unlock(&monitor.lock);
}

/* ---- beginning and end -------------------------------------------------- */

/* The child of a fork has no monitor, so its jobs are not interrupted. */
static void forget_thread(void)
{
  monitor.runs = false;
  uv_mutex_init(&monitor.life);
  uv_mutex_init(&monitor.lock);
  uv_cond_init(&monitor.changed);
  atomic_store(&parked, false);
}

static void init_once(void)
{
  uv_mutex_init(&monitor.life);
  uv_mutex_init(&monitor.lock);
  uv_cond_init(&monitor.changed);
  pthread_atfork(NULL, NULL, forget_thread);
}

/* The thread begins with all signals blocked, so none of the process goes to
 * it. */
static int start_thread(void)
{
  sigset_t all, before;
  int error;
  monitor.stop = false;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = uv_thread_create(&monitor.thread, watch_loops, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  monitor.runs = error == 0;
  return error;
}

static void stop_thread(void)
{
  uv_mutex_lock(&monitor.lock);
  monitor.stop = true;
  uv_cond_signal(&monitor.changed);
  uv_mutex_unlock(&monitor.lock);
  uv_thread_join(&monitor.thread);
  monitor.runs = false;
}

static void insert(struct uj_watch *watch)
{
  watch->signals = uj_signals_count();
  watch->sent_ns = 0;
  atomic_store(&watch->since_tick, 0);
  atomic_store(&watch->due_tick, 0);
  atomic_store(&watch->asleep, false);
  uv_mutex_lock(&monitor.lock);
  watch->next = monitor.watches;
  monitor.watches = watch;
  uv_cond_signal(&monitor.changed);
  uv_mutex_unlock(&monitor.lock);
}

static void take_out(struct uj_watch *watch)
{
  struct uj_watch **link = &monitor.watches;
  uv_mutex_lock(&monitor.lock);
  while (*link != watch)
    link = &(*link)->next;
  *link = watch->next;
  uv_mutex_unlock(&monitor.lock);
}

int uj_monitor_add(struct uj_watch *watch)
{
  int error;
  pthread_once(&monitor.once, init_once);
  uv_mutex_lock(&monitor.life);
  error = uj_poke_add(&watch->poke);
  if (error == 0 && !monitor.runs) {
    error = start_thread();
    if (error != 0)
      uj_poke_remove(&watch->poke);
  }
  if (error == 0)
    insert(watch);
  uv_mutex_unlock(&monitor.life);
  return error;
}

void uj_monitor_remove(struct uj_watch *watch)
{
  uv_mutex_lock(&monitor.life);
  take_out(watch);
  uj_poke_remove(&watch->poke);
  if (monitor.watches == NULL && monitor.runs)
    stop_thread();
  uv_mutex_unlock(&monitor.life);
}

void uj_watch_wake(struct uj_watch *watch)
{
  atomic_store(&watch->asleep, false);
  if (!atomic_load(&parked))
    return;
  uv_mutex_lock(&monitor.lock);
  uv_cond_signal(&monitor.changed);
  uv_mutex_unlock(&monitor.lock);
}
