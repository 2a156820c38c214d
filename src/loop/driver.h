/* What a loop waits for: the clock, signals, tasks in threads, and the
 * descriptors of other loops (guests).
 *
 * The driver owns one uv_loop_t. Nothing of Lua or of the scheduler runs inside
 * uv_run(): a call here polls or waits, notes what has happened, and returns.
 * A driver belongs to one thread. */
#ifndef UJ_LOOP_DRIVER_H
#define UJ_LOOP_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

struct uj_datewatch;
struct uj_driver;
struct uj_signals;
struct uj_tasks;

/* Monotonic nanoseconds. */
uint64_t uj_driver_now(void);

/* A counter of the processor that rises with time at an unknown rate and costs
 * next to nothing to read. It is always 0 on processors that have none. */
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

/* How many forks, since the first driver was made, have led to this process. A
 * driver gets a loop of its own in the child; the guests do not. */
unsigned uj_driver_count_forks(void);

/* What the driver hears of signals, see signals.h. A signal that is taken ends
 * a wait. */
struct uj_signals *uj_driver_signals(struct uj_driver *driver);

/* The other loops that the driver can watch. */
enum uj_guest { UJ_GUEST_LUV, UJ_GUEST_CQUEUES, UJ_GUESTS };

/* Makes waits end when the guest's `fd` is readable; -1 for none. The
 * descriptor stays the guest's, which also reads it. Returns 0 or a negative
 * error. */
int uj_driver_watch(struct uj_driver *driver, enum uj_guest guest, int fd);
/* Whether a wait or a poll has found it readable since the last call. */
bool uj_driver_take_readable(struct uj_driver *driver, enum uj_guest guest);

/* For a host whose own loop drives ours: a descriptor that is readable when
 * uj_driver_poll() would find something, or when the alarm has gone off. */
int uj_driver_fd(struct uj_driver *driver);
/* Sets the alarm to a time; 0 makes it go off now, UJ_NEVER switches it off. An
 * alarm that has gone off stays so until it is set again. Systems without a
 * timer descriptor only know 0. */
void uj_driver_set_alarm(struct uj_driver *driver, uint64_t due_ns);
/* Ends a wait, or the next one. Any thread may call it, and a signal handler.
 */
void uj_driver_wake(struct uj_driver *driver);
/* Whether the alarm can be set to a time. */
bool uj_driver_alarm_is_timed(const struct uj_driver *driver);

/* The driver's tasks in threads of their own, see task.h. The end of a task
 * ends a wait. All tasks must have ended before the driver is freed. */
struct uj_tasks *uj_driver_tasks(struct uj_driver *driver);

/* The driver's notice of steps of the date, see datewatch.h. */
struct uj_datewatch *uj_driver_datewatch(struct uj_driver *driver);

/* Notes what has happened, without waiting. */
void uj_driver_poll(struct uj_driver *driver);
/* Waits until something happens or `due_ns` is reached (UJ_NEVER: no limit).
 * May return earlier. */
void uj_driver_wait(struct uj_driver *driver, uint64_t due_ns);

#endif
