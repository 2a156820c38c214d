/* How late Linux itself wakes a thread: lateness N. The same sleeps as in
 * ../lateness.lua, by a timer descriptor and epoll, with nothing else around.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000

static int64_t now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static int compare(const void *left, const void *right)
{
  int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
  return (a > b) - (a < b);
}

/* Waits until then; returns how late it is. */
static int64_t wait_until(int timer, int epoll, int64_t due_ns)
{
  struct itimerspec due = {.it_value = {.tv_sec = due_ns / SECOND_NS,
                                        .tv_nsec = due_ns % SECOND_NS}};
  struct epoll_event event;
  uint64_t count;
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &due, NULL);
  while (epoll_wait(epoll, &event, 1, -1) < 0 && errno == EINTR)
    continue;
  if (read(timer, &count, sizeof(count)) < 0)
    abort();
  return now_ns() - due_ns;
}

int main(int argc, char **argv)
{
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  int epoll = epoll_create1(0), n = argc == 3 ? atoi(argv[2]) : 0;
  struct epoll_event event = {.events = EPOLLIN};
  int64_t *late_ns = calloc((size_t)n + 1, sizeof(*late_ns));
  if (timer < 0 || epoll < 0 || n < 1 || late_ns == NULL ||
      epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) != 0)
    return 1;
  for (int i = 0; i < n; i++) {
    int64_t span_ns = 500000 + (int64_t)(drand48() * 9500000);
    late_ns[i] = wait_until(timer, epoll, now_ns() + span_ns);
  }
  qsort(late_ns, (size_t)n, sizeof(*late_ns), compare);
  printf("%.4f %.4f %.4f\n", (double)late_ns[(n + 1) / 2 - 1] / 1e6,
         (double)late_ns[(n * 99 + 99) / 100 - 1] / 1e6,
         (double)late_ns[0] / 1e6);
  free(late_ns);
  return 0;
}
