/* Signals that ask a run to end.
 *
 * Signals belong to the process. So the handlers are those of all loops, and
 * the first signal after the latest loop began to take them is the first for
 * all of them; a second one ends the process at once, with the status 128 + its
 * number, even while a job holds the loop.
 *
 * SIGPIPE is taken along: a write to a pipe or socket without a reader fails,
 * and does nothing else, unless standard output or standard error has lost its
 * reader. Then a run ends as by any other signal, and the process outside of
 * runs dies by SIGPIPE, as every program does that goes on printing into a
 * closed pipe. This is done by a handler and not by ignoring SIGPIPE, because
 * the children of io.popen() would inherit that. */
#ifndef UJ_LOOP_SIGNALS_H
#define UJ_LOOP_SIGNALS_H

#include <stdbool.h>

/* The signals of one loop; a driver owns it. */
struct uj_signals;

/* A set of signals, which are bits. */
enum { UJ_SIGNALS_NONE = 0, UJ_SIGNALS_DEFAULT = 3 /* SIGINT and SIGTERM */ };

/* The bit of a signal that a run may take, by its name; 0 for others. */
unsigned uj_signals_named(const char *name);
/* The name of a number that uj_signals_take() has returned. */
const char *uj_signals_name(int number);
/* Whether the set has the signal with this number. */
bool uj_signals_has(unsigned set, int number);

/* `loop` is a uv_loop_t. Returns NULL without memory. */
struct uj_signals *uj_signals_new(void *loop);
/* Frees the memory, after the handles have been closed with the loop. */
void uj_signals_free(struct uj_signals *self);

/* Takes the signals of the set from now on, and SIGPIPE; an empty set takes
 * nothing. Those of `dumps`, which has none of the set, only ask for a dump:
 * they end nothing. What is ignored stays so, as nohup and the shell's
 * background jobs need it. What the calling thread blocks is let through until
 * the end. Returns 0 or a negative error of uj_driver_strerror(). */
int uj_signals_start(struct uj_signals *self, unsigned set, unsigned dumps);
void uj_signals_stop(struct uj_signals *self);

/* Whether SIGINT is taken. When it is not, the handler of the interpreter may
 * have it. */
bool uj_signals_takes_sigint(const struct uj_signals *self);

/* Takes the signal that has come since the last call, or 0. */
int uj_signals_take(struct uj_signals *self);
/* Whether a signal has asked for a dump since the last call. */
bool uj_signals_take_dump(struct uj_signals *self);
/* Whether one has come that nobody has taken yet. */
bool uj_signals_wait_for_taker(const struct uj_signals *self);

/* How many of those signals the process has had so far, for whichever loop. Any
 * thread may call it. */
unsigned uj_signals_count(void);

/* The process is about to end, and nobody takes a signal any more: the next one
 * ends it at once, unless another loop of the process takes it. */
void uj_signals_end_at_once(struct uj_signals *self);

/* Makes writes outside of runs fail, too, instead of raising SIGPIPE. It is for
 * the whole process and for good; a handler that it has for SIGPIPE, and
 * SIGPIPE being ignored, stay. */
void uj_signals_catch_sigpipe(void);

/* Lets SIGCHLD through in the calling thread: a parent may have had it blocked,
 * and libuv would never hear that a child has ended. Returns whether it was. */
bool uj_signals_unblock_child(void);
void uj_signals_block_child(void);

#endif
