#include "loop/datewatch.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#if defined(__linux__) && !defined(UJ_NO_TIMERFD)
#include <sys/timerfd.h>
#endif

#if defined(TFD_TIMER_CANCEL_ON_SET) && !defined(UJ_NO_TIMERFD)
#define HAVE_NOTICE 1
#else
#define HAVE_NOTICE 0
#endif

#define NS_PER_S UINT64_C(1000000000)

/* The year 2242, which the kernel can count, or the last that fits. */
#define LATEST_S \
  ((time_t)(sizeof(time_t) > 4 ? INT64_C(0x1ffffffff) : INT64_C(0x7fffffff)))

struct uj_datewatch_handle {
  uv_poll_t poll;
  int fd;
};

uint64_t uj_datewatch_now(void)
{
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec < 0)
    return 0;
  return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

void uj_datewatch_init(struct uj_datewatch *watch, void *loop)
{
  watch->loop = loop;
  watch->handle = NULL;
  watch->is_on = false;
}

void uj_datewatch_term(struct uj_datewatch *watch)
{
  if (watch->handle == NULL)
    return;
  close(watch->handle->fd);
  free(watch->handle);
  watch->handle = NULL;
}

#if HAVE_NOTICE

/* A timer that never expires, but is cancelled when the date is set. */
static void arm(int fd)
{
  const struct itimerspec never = {.it_value = {.tv_sec = LATEST_S}};
  (void)timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
                        NULL);
}

/* Ends a wait. Reading says that the timer was cancelled, and takes that back;
 * whoever watches compares the clocks. */
static void on_cancelled(uv_poll_t *poll, int status, int events)
{
  const struct uj_datewatch_handle *handle = poll->data;
  uint64_t expirations;
  ssize_t size = read(handle->fd, &expirations, sizeof(expirations));
  (void)size;
  (void)status;
  (void)events;
  arm(handle->fd);
}

static struct uj_datewatch_handle *new_handle(uv_loop_t *loop)
{
  struct uj_datewatch_handle *handle = calloc(1, sizeof(*handle));
  if (handle == NULL)
    return NULL;
  handle->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (handle->fd >= 0 && uv_poll_init(loop, &handle->poll, handle->fd) == 0) {
    handle->poll.data = handle;
    return handle;
  }
  if (handle->fd >= 0)
    close(handle->fd);
  free(handle);
  return NULL;
}

bool uj_datewatch_start(struct uj_datewatch *watch)
{
  if (watch->is_on)
    return true;
  if (watch->handle == NULL)
    watch->handle = new_handle(watch->loop);
  if (watch->handle == NULL ||
      uv_poll_start(&watch->handle->poll, UV_READABLE, on_cancelled) != 0)
    return false;
  arm(watch->handle->fd);
  watch->is_on = true;
  return true;
}

void uj_datewatch_stop(struct uj_datewatch *watch)
{
  static const struct itimerspec off;
  if (!watch->is_on)
    return;
  uv_poll_stop(&watch->handle->poll);
  (void)timerfd_settime(watch->handle->fd, 0, &off, NULL);
  watch->is_on = false;
}

#else

bool uj_datewatch_start(struct uj_datewatch *watch)
{
  (void)watch;
  return false;
}

void uj_datewatch_stop(struct uj_datewatch *watch)
{
  (void)watch;
}

#endif
