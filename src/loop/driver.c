#include "loop/driver.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "loop/datewatch.h"
#include "loop/signals.h"
#include "loop/standard.h"
#include "loop/task.h"

#if defined(__linux__) && !defined(UJ_NO_TIMERFD)
#define HAVE_TIMERFD 1
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#else
#define HAVE_TIMERFD 0
#endif

/* A driver takes so many: its loop four and libuv two for all loops, without
 * which libuv aborts; one for the time, and one for the bell. */
enum { DESCRIPTORS = 8 };

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define DAY_MS (UINT64_C(24) * 60 * 60 * 1000)

/* The handles live in this block, which is freed once libuv has closed them
 * all. */
struct uj_driver {
  uv_loop_t loop;
  struct uj_tasks *tasks; /* owned */
  struct uj_datewatch datewatch;
  uv_timer_t timer;           /* ends a wait; used only without exact_fd */
  uv_poll_t exact;            /* of exact_fd */
  uv_async_t alarm;           /* wakes the loop without bell_fd, and is the
                                 alarm of it without exact_fd */
  uv_poll_t watch[UJ_GUESTS]; /* of watch_fd; initialised while that is >= 0 */
  struct uj_signals *signals; /* owned */
  uv_poll_t bell;             /* of bell_fd */
  int bell_fd;                /* see uj_driver_wake(); or -1 */
  atomic_bool rung;           /* it was woken, and has not heard that yet */
  atomic_bool waits;          /* the thread waits, or is about to */
  bool is_watched;            /* a host watches uj_driver_fd() */
  int exact_fd;               /* our timer descriptor, or -1 */
  int watch_fd[UJ_GUESTS];    /* borrowed from the guest; -1 for none */
  bool seen[UJ_GUESTS];       /* it was readable, which nobody has asked yet */
  unsigned nforks;            /* see own_loop() */
  uint64_t exact_ns; /* the time that exact_fd is set to, which may be past;
                        or UJ_NEVER */
};

uint64_t uj_driver_now(void)
{
  return uv_hrtime();
}

const char *uj_driver_strerror(int error)
{
  return uv_strerror(error);
}

static void on_timer(uv_timer_t *timer)
{
  (void)timer;
}

/* Ends a wait. The owner of the descriptor reads it afterwards. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
  bool *seen = poll->data;
  (void)status;
  (void)events;
  if (seen != NULL)
    *seen = true;
}

static int open_exact_fd(void)
{
#if HAVE_TIMERFD
  return timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
#else
  return -1;
#endif
}

/* Sets the timer descriptor to an absolute time; 0 disarms it. */
static void set_exact(int fd, uint64_t due_ns)
{
#if HAVE_TIMERFD
  struct itimerspec when = {.it_value = {.tv_sec = (time_t)(due_ns / NS_PER_S),
                                         .tv_nsec = (long)(due_ns % NS_PER_S)}};
  (void)timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
#else
  (void)fd;
  (void)due_ns;
#endif
}

static void open_exact(struct uj_driver *driver)
{
  driver->exact_ns = UINT64_MAX;
  driver->exact_fd = open_exact_fd();
  if (driver->exact_fd >= 0 &&
      (uv_poll_init(&driver->loop, &driver->exact, driver->exact_fd) != 0 ||
       uv_poll_start(&driver->exact, UV_READABLE, on_readable) != 0)) {
    close(driver->exact_fd);
    driver->exact_fd = -1;
  }
}

/* ---- the bell ------------------------------------------------------------ */

/* The bell is a descriptor that ends a wait. It is written only while the
 * thread waits, and once for each wait: a thread that is awake finds `rung`
 * when it is about to wait. Of whoever rings and the thread that falls asleep
 * one always sees the other, because each first says what it does and then
 * looks: see the part BELL of verify/sleep.pml.
 *
 * uv_async_send() is not used for this, because a thread that it has woken
 * spins until the one that woke it has returned from the system, and gives up
 * its processor meanwhile. On a busy machine a message between threads took ten
 * times as long for that.
 *
 * For a host there is no wait of ours whose end could forget that we were rung.
 * So reading does it, and not before it has read: otherwise it could read what
 * was written for the next one. The loop of a host polls last before it looks
 * for news. Ours does not, and would sleep through what a poll has read. */

static void forget_ring(struct uj_driver *driver)
{
  if (driver->is_watched)
    (void)atomic_exchange(&driver->rung, false);
}

static void on_bell(uv_poll_t *bell, int status, int events)
{
  struct uj_driver *driver = bell->data;
  uint64_t rings;
  ssize_t size = read(driver->bell_fd, &rings, sizeof(rings));
  (void)size;
  (void)status;
  (void)events;
  forget_ring(driver);
}

static void on_alarm(uv_async_t *alarm)
{
  forget_ring(alarm->data);
}

static int open_bell_fd(void)
{
#if HAVE_TIMERFD
  return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
#else
  return -1;
#endif
}

static void open_bell(struct uj_driver *driver)
{
  atomic_store(&driver->rung, false);
  driver->bell.data = driver;
  driver->bell_fd = open_bell_fd();
  if (driver->bell_fd >= 0 &&
      (uv_poll_init(&driver->loop, &driver->bell, driver->bell_fd) != 0 ||
       uv_poll_start(&driver->bell, UV_READABLE, on_bell) != 0)) {
    close(driver->bell_fd);
    driver->bell_fd = -1;
  }
}

/* The kernel counts rings, and its counter cannot overflow here. */
static void ring(struct uj_driver *driver)
{
  static const uint64_t once = 1;
  if (driver->bell_fd < 0)
    uv_async_send(&driver->alarm);
  else {
    ssize_t size = write(driver->bell_fd, &once, sizeof(once));
    (void)size;
  }
}

void uj_driver_wake(struct uj_driver *driver)
{
  if (!atomic_exchange(&driver->rung, true) && atomic_load(&driver->waits))
    ring(driver);
}

static void wake(void *driver)
{
  uj_driver_wake(driver);
}

/* Returns whether the thread was woken already: then it must not wait. */
static bool fall_asleep(struct uj_driver *driver)
{
  atomic_store(&driver->waits, true);
  return atomic_exchange(&driver->rung, false);
}

static void wake_up(struct uj_driver *driver)
{
  (void)atomic_exchange(&driver->rung, false);
  if (!driver->is_watched)
    atomic_store(&driver->waits, false);
}

static int init_handles(struct uj_driver *driver)
{
  int error = uv_async_init(&driver->loop, &driver->alarm, on_alarm);
  driver->alarm.data = driver;
  if (error != 0)
    return error;
  uv_timer_init(&driver->loop, &driver->timer);
  driver->signals = uj_signals_new(&driver->loop);
  if (driver->signals == NULL)
    return UV_ENOMEM;
  driver->tasks = uj_tasks_new(wake, driver);
  if (driver->tasks == NULL)
    return UV_ENOMEM;
  for (int i = 0; i < UJ_GUESTS; i++)
    driver->watch_fd[i] = -1;
  open_exact(driver);
  open_bell(driver);
  return 0;
}

/* ---- after a fork -------------------------------------------------------- */

/* How many forks of the process have led to this one. */
static atomic_uint nforks;

static void count_fork(void)
{
  nforks++;
}

static void watch_forks(void)
{
  pthread_atfork(NULL, NULL, count_fork);
}

static void close_shared(struct uj_driver *driver)
{
  if (driver->exact_fd >= 0)
    uv_close((uv_handle_t *)&driver->exact, NULL);
  if (driver->bell_fd >= 0)
    uv_close((uv_handle_t *)&driver->bell, NULL);
}

/* libuv lets go of the memory of handles in the next turn of its loop. It polls
 * in that turn, so none of the shared descriptors may be watched any more: what
 * is read from the bell here is a ring that the parent never hears. */
static void replace_shared(struct uj_driver *driver)
{
  close_shared(driver);
  uv_run(&driver->loop, UV_RUN_NOWAIT);
  if (driver->exact_fd >= 0) {
    close(driver->exact_fd);
    open_exact(driver);
  }
  if (driver->bell_fd >= 0) {
    close(driver->bell_fd);
    open_bell(driver);
  }
}

/* The child of a fork shares the event queue of the loop, the timer descriptor
 * and the bell with its parent: what it does to them, even when it only closes
 * them, keeps the parent from waking up. So it gets its own ones before it does
 * anything, which every function here sees to that touches the loop. */
static void own_loop(struct uj_driver *driver)
{
  if (driver->nforks == nforks)
    return;
  driver->nforks = nforks;
  if (uv_loop_fork(&driver->loop) != 0)
    abort(); /* no descriptors: nothing could be done without harm */
  replace_shared(driver);
  uj_tasks_forget_threads(driver->tasks);
}

unsigned uj_driver_count_forks(void)
{
  return nforks;
}

/* ---- the beginning and the end --------------------------------------------
 */

static void close_handle(uv_handle_t *handle, void *arg)
{
  (void)arg;
  if (!uv_is_closing(handle))
    uv_close(handle, NULL);
}

static void close_loop(uv_loop_t *loop)
{
  int error;
  uv_walk(loop, close_handle, NULL);
  uv_run(loop, UV_RUN_DEFAULT);
  error = uv_loop_close(loop);
  assert(error == 0);
  (void)error;
}

int uj_driver_new(struct uj_driver **out)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  int error;
  struct uj_driver *driver;
  if (!uj_standard_has_descriptors(DESCRIPTORS))
    return UV_EMFILE;
  driver = calloc(1, sizeof(*driver));
  if (driver == NULL)
    return UV_ENOMEM;
  pthread_once(&once, watch_forks);
  driver->nforks = nforks;
  error = uv_loop_init(&driver->loop);
  if (error != 0) {
    free(driver);
    return error;
  }
  uj_datewatch_init(&driver->datewatch, &driver->loop);
  error = init_handles(driver);
  if (error != 0) {
    close_loop(&driver->loop);
    uj_signals_free(driver->signals);
    if (driver->tasks != NULL)
      uj_tasks_free(driver->tasks);
    free(driver);
    return error;
  }
  *out = driver;
  return 0;
}

void uj_driver_free(struct uj_driver *driver)
{
  own_loop(driver);
  close_loop(&driver->loop);
  uj_datewatch_term(&driver->datewatch);
  if (driver->exact_fd >= 0)
    close(driver->exact_fd);
  if (driver->bell_fd >= 0)
    close(driver->bell_fd);
  uj_signals_free(driver->signals);
  uj_tasks_free(driver->tasks);
  free(driver);
}

struct uj_signals *uj_driver_signals(struct uj_driver *driver)
{
  own_loop(driver);
  return driver->signals;
}

/* libuv lets go of the handle's memory in the next turn of its loop. */
static void close_watch(struct uj_driver *driver, enum uj_guest guest)
{
  uv_close((uv_handle_t *)&driver->watch[guest], NULL);
  uv_run(&driver->loop, UV_RUN_NOWAIT);
  driver->watch_fd[guest] = -1;
}

int uj_driver_watch(struct uj_driver *driver, enum uj_guest guest, int fd)
{
  uv_poll_t *watch = &driver->watch[guest];
  int error = 0;
  own_loop(driver);
  if (fd == driver->watch_fd[guest])
    return 0;
  if (driver->watch_fd[guest] >= 0)
    close_watch(driver, guest);
  if (fd < 0)
    return 0;
  error = uv_poll_init(&driver->loop, watch, fd);
  if (error != 0)
    return error;
  watch->data = &driver->seen[guest];
  driver->watch_fd[guest] = fd;
  return uv_poll_start(watch, UV_READABLE, on_readable);
}

bool uj_driver_take_readable(struct uj_driver *driver, enum uj_guest guest)
{
  bool seen = driver->seen[guest];
  driver->seen[guest] = false;
  return seen;
}

struct uj_tasks *uj_driver_tasks(struct uj_driver *driver)
{
  own_loop(driver);
  return driver->tasks;
}

struct uj_datewatch *uj_driver_datewatch(struct uj_driver *driver)
{
  return &driver->datewatch;
}

void uj_driver_poll(struct uj_driver *driver)
{
  own_loop(driver);
  uv_run(&driver->loop, UV_RUN_NOWAIT);
}

/* libuv counts whole milliseconds from the start of its turn, so this rounds
 * up. */
static uint64_t ms_until(uint64_t due_ns)
{
  uint64_t now_ns = uv_hrtime();
  uint64_t span_ns = due_ns > now_ns ? due_ns - now_ns : 0;
  return span_ns > DAY_MS * NS_PER_MS ? DAY_MS
                                      : (span_ns + NS_PER_MS - 1) / NS_PER_MS;
}

/* Sets the timer descriptor if need be, because that costs a system call. One
 * that has expired stays readable until it is set again. */
static void change_exact(struct uj_driver *driver, uint64_t due_ns)
{
  if (due_ns == driver->exact_ns)
    return;
  driver->exact_ns = due_ns;
  if (due_ns == UINT64_MAX)
    set_exact(driver->exact_fd, 0);
  else
    set_exact(driver->exact_fd, due_ns == 0 ? 1 : due_ns);
}

static void wait_exactly(struct uj_driver *driver, uint64_t due_ns)
{
  change_exact(driver, due_ns);
  uv_run(&driver->loop, UV_RUN_ONCE);
}

/* uv_run() also lets timers expire before it waits. One that does not repeat
 * would then not end the wait. */
static void wait_by_timer(struct uj_driver *driver, uint64_t due_ns)
{
  uv_update_time(&driver->loop);
  uv_timer_start(&driver->timer, on_timer, ms_until(due_ns), 1);
  uv_run(&driver->loop, UV_RUN_ONCE);
  uv_timer_stop(&driver->timer);
}

/* Tasks that have ended and signals that a poll has noted would not end the
 * wait any more, so they are handled first. To wait until 0 is to poll, without
 * setting the timer to the past, and back. */
void uj_driver_wait(struct uj_driver *driver, uint64_t due_ns)
{
  own_loop(driver);
  if (fall_asleep(driver) || uj_tasks_have_news(driver->tasks) ||
      uj_signals_wait_for_taker(driver->signals))
    uj_driver_poll(driver);
  else if (driver->exact_fd >= 0)
    wait_exactly(driver, due_ns);
  else
    wait_by_timer(driver, due_ns);
  wake_up(driver);
}

int uj_driver_fd(struct uj_driver *driver)
{
  own_loop(driver);
  driver->is_watched = true;
  if (fall_asleep(driver)) /* nothing was written for that */
    uj_driver_wake(driver);
  return uv_backend_fd(&driver->loop);
}

void uj_driver_set_alarm(struct uj_driver *driver, uint64_t due_ns)
{
  own_loop(driver);
  if (driver->exact_fd >= 0)
    change_exact(driver, due_ns);
  else if (due_ns == 0)
    uv_async_send(&driver->alarm);
}

bool uj_driver_alarm_is_timed(const struct uj_driver *driver)
{
  return driver->exact_fd >= 0;
}
