/* loop/driver.h: no wake-up is lost, whoever wakes and whatever the thread of
 * the driver is doing. Meant for ThreadSanitizer and helgrind, too. A wake-up
 * that is lost is a test that hangs. */
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "core/clock.h"
#include "loop/driver.h"

enum { WAKERS = 2, EACH = 5000 };

static struct uj_driver *driver;

/* What a thread tells, and how much of it was heard. */
struct waker {
  pthread_t thread;
  atomic_int told, heard;
  uint64_t seed;
};

static struct waker wakers[WAKERS];

/* The first poll makes the system watch what the driver waits for. */
static void open_driver(void)
{
  int error = uj_driver_new(&driver);
  if (error != 0) {
    printf("  %s\n", uj_driver_strerror(error));
    exit(1);
  }
  uj_driver_poll(driver);
}

/* ---- threads that wake --------------------------------------------------- */

/* It mostly waits until it was heard: so every wake-up is needed. */
static void *tell(void *arg)
{
  struct waker *self = arg;
  for (int i = 1; i <= EACH; i++) {
    atomic_store(&self->told, i);
    uj_driver_wake(driver);
    if (check_below(&self->seed, 4) > 0)
      while (atomic_load(&self->heard) < i)
        sched_yield();
  }
  return NULL;
}

static void start_wakers(void)
{
  for (int i = 0; i < WAKERS; i++) {
    wakers[i].seed = (uint64_t)i;
    CHECK(pthread_create(&wakers[i].thread, NULL, tell, &wakers[i]) == 0);
  }
}

/* Returns whether all was heard. */
static bool hear(void)
{
  bool all = true;
  for (int i = 0; i < WAKERS; i++) {
    int told = atomic_load(&wakers[i].told);
    atomic_store(&wakers[i].heard, told);
    all = all && told == EACH;
  }
  return all;
}

static void join_wakers(void)
{
  for (int i = 0; i < WAKERS; i++)
    CHECK(pthread_join(wakers[i].thread, NULL) == 0);
}

static void hears_all_threads(void)
{
  uint64_t seed = 1;
  open_driver();
  start_wakers();
  while (!hear()) {
    if (check_below(&seed, 3) == 0)
      uj_driver_poll(driver); /* nobody looks after this one */
    uj_driver_wait(driver, UJ_NEVER);
  }
  join_wakers();
  uj_driver_free(driver);
}

/* ---- a host -------------------------------------------------------------- */

static bool is_readable(int fd, int timeout_ms)
{
  struct pollfd polled = {.fd = fd, .events = POLLIN};
  int n;
  do
    n = poll(&polled, 1, timeout_ms);
  while (n < 0 && errno == EINTR);
  return n > 0;
}

static void lets_a_host_hear(void)
{
  uint64_t seed = 2;
  int fd;
  open_driver();
  fd = uj_driver_fd(driver);
  start_wakers();
  while (!hear()) {
    if (check_below(&seed, 3) == 0)
      uj_driver_poll(driver);
    else
      CHECK(is_readable(fd, -1));
    uj_driver_poll(driver);
  }
  join_wakers();
  uj_driver_free(driver);
}

static void tells_a_host_what_came_before(void)
{
  open_driver();
  uj_driver_wake(driver);
  uj_driver_poll(driver);
  CHECK(is_readable(uj_driver_fd(driver), 0));
  uj_driver_poll(driver);
  CHECK(!is_readable(uj_driver_fd(driver), 0));
  uj_driver_wake(driver);
  CHECK(is_readable(uj_driver_fd(driver), 0));
  uj_driver_wait(driver, UJ_NEVER);
  uj_driver_free(driver);
}

/* ---- one thread ---------------------------------------------------------- */

static void ends_the_next_wait(void)
{
  open_driver();
  for (int i = 0; i < 3; i++) {
    uj_driver_wake(driver);
    uj_driver_poll(driver);
    uj_driver_wait(driver, UJ_NEVER);
  }
  uj_driver_free(driver);
}

static void waits_once_for_many(void)
{
  uint64_t begun_ns, span_ns = 1000000;
  open_driver();
  for (int i = 0; i < 100; i++)
    uj_driver_wake(driver);
  uj_driver_wait(driver, UJ_NEVER);
  begun_ns = uj_driver_now();
  uj_driver_wait(driver, begun_ns + span_ns); /* nothing ends this one */
  CHECK(uj_driver_now() - begun_ns >= span_ns);
  uj_driver_free(driver);
}

/* ---- a signal handler ---------------------------------------------------- */

static atomic_int signals;

static void on_signal(int number)
{
  int error = errno;
  (void)number;
  atomic_fetch_add(&signals, 1);
  uj_driver_wake(driver);
  errno = error;
}

struct sender {
  pthread_t receiver;
  atomic_int heard;
};

static void *send_signals(void *arg)
{
  struct sender *self = arg;
  for (int i = 1; i <= EACH; i++) {
    pthread_kill(self->receiver, SIGUSR1);
    while (atomic_load(&self->heard) < i)
      sched_yield();
  }
  return NULL;
}

static void hears_a_signal_handler(void)
{
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  struct sender sender = {.receiver = pthread_self()};
  pthread_t thread;
  open_driver();
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
  CHECK(pthread_create(&thread, NULL, send_signals, &sender) == 0);
  while (atomic_load(&signals) < EACH) {
    uj_driver_wait(driver, UJ_NEVER);
    atomic_store(&sender.heard, atomic_load(&signals));
  }
  CHECK(pthread_join(thread, NULL) == 0);
  uj_driver_free(driver);
}

/* ---- a fork -------------------------------------------------------------- */

static void has_a_bell_of_its_own_after_a_fork(void)
{
  int fd;
  pid_t pid;
  open_driver();
  fd = uj_driver_fd(driver);
  pid = check_fork();
  if (pid == 0) {
    uj_driver_poll(driver);
    uj_driver_wake(driver);
    uj_driver_wait(driver, UJ_NEVER);
    uj_driver_free(driver);
    exit(check_failures != 0);
  }
  CHECK_EQ(check_join(pid), 0);
  CHECK(!is_readable(fd, 0));
  uj_driver_wake(driver);
  CHECK(is_readable(fd, 0));
  uj_driver_free(driver);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a wait ends whenever a thread has woken", hears_all_threads},
      {"a host's descriptor is readable whenever a thread has woken",
       lets_a_host_hear},
      {"a host hears of a wake-up before it had the descriptor",
       tells_a_host_what_came_before},
      {"a wake-up ends the next wait, whoever polls before",
       ends_the_next_wait},
      {"many wake-ups before a wait end only that", waits_once_for_many},
      {"a wait ends whenever a signal handler has woken",
       hears_a_signal_handler},
      {"the child of a fork does not wake its parent",
       has_a_bell_of_its_own_after_a_fork},
  };
  return CHECK_RUN(tests);
}
