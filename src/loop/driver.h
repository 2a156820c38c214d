/* What a loop waits on: the clock, signals, and one foreign descriptor.
 *
 * The only part that knows libuv. It owns one uv_loop_t, and nothing of Lua or
 * of the scheduler runs inside uv_run(): a call here looks or waits, notes what
 * has happened, and returns. One driver belongs to one thread. */
#ifndef UJ_LOOP_DRIVER_H
#define UJ_LOOP_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

struct uj_driver;
struct uj_tasks;

/* Monotonic nanoseconds. */
uint64_t uj_driver_now(void);

/* A counter that goes with time, at some rate of its own, and costs next to
 * nothing to read; always 0 where there is none. */
static inline uint64_t uj_driver_ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_ia32_rdtsc();
#else
  return 0;
#endif
}

/* Returns 0, or a negative error of uj_driver_strerror(). */
int uj_driver_new(struct uj_driver **driver);
void uj_driver_free(struct uj_driver *driver);
const char *uj_driver_strerror(int error);

/* Takes SIGINT and SIGTERM; a second one ends the process at once, with 128 +
 * its number. Returns 0 or a negative error. */
int uj_driver_start_signals(struct uj_driver *driver);
void uj_driver_stop_signals(struct uj_driver *driver);
/* The signal that has come since it was asked last, or 0. */
int uj_driver_take_signal(struct uj_driver *driver);

/* How many have come to the process so far, to any driver. For any thread. */
unsigned uj_driver_count_signals(void);

/* Writing to what nobody reads any more is an error of the write from now on,
 * and does not end the process; unless it has a handler for SIGPIPE. */
void uj_driver_ignore_sigpipe(void);

/* Whose loops are watched. */
enum uj_guest { UJ_GUEST_LUV, UJ_GUEST_CQUEUES, UJ_GUESTS };

/* Lets waits end when the guest's `fd` is readable; -1 for none. Returns 0 or a
 * negative error. */
int uj_driver_watch(struct uj_driver *driver, enum uj_guest guest, int fd);
/* Whether a wait or a poll has seen it so since it was asked last. */
bool uj_driver_take_readable(struct uj_driver *driver, enum uj_guest guest);

/* For a loop of somebody else's: a descriptor that is readable when there is
 * something for uj_driver_poll() to see, or when the alarm has gone off. */
int uj_driver_fd(const struct uj_driver *driver);
/* Sets the alarm; 0 lets it go off now, UJ_NEVER switches it off. It stays on
 * until it is set again. Where it cannot be set to a time only 0 works. */
void uj_driver_set_alarm(struct uj_driver *driver, uint64_t due_ns);
/* Whether it can be set to a time. */
bool uj_driver_alarm_is_timed(const struct uj_driver *driver);

/* What runs in the thread pool for it, see task.h. When the driver is freed,
 * all of it must have ended. Ends of tasks end waits. */
struct uj_tasks *uj_driver_tasks(struct uj_driver *driver);

/* Looks at what has happened, without waiting. */
void uj_driver_poll(struct uj_driver *driver);
/* Waits until something happens or `due_ns` is reached (UJ_NEVER: no limit).
 * May return earlier. */
void uj_driver_wait(struct uj_driver *driver, uint64_t due_ns);

#endif
