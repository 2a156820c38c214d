/* The loops of this process that can be asked, each by one question at a time.
 *
 * A question is put by a thread of the server. The loop answers between two
 * jobs, or from the hook that interrupts a job, where everything is consistent:
 * it makes a copy of the process there, which finds the answer and writes it,
 * and goes on. A loop in which the same job, or none, runs all the time
 * and which does not come to such a place is in a function of C: then the
 * thread makes the copy, and knows what that means. */
#ifndef UJ_INSPECT_LOOPS_H
#define UJ_INSPECT_LOOPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct uj_driver;
struct uj_poke;
struct uj_watch;

/* What is asked; it stays while it is being answered. */
struct uj_question {
  const char *text; /* a line without its end */
  bool acts;        /* the loop itself is to do something, and no copy */
  int fd;           /* for the answer of a copy */
};

/* What has become of it. */
struct uj_answer {
  bool is_taken; /* the loop is doing it */
  bool is_there;
  pid_t copy; /* that answers; or a negative errno */
  bool is_refused;
  char refusal[256]; /* what act() has returned */
};

/* Owned by the loop, and lent from uj_loops_add() to uj_loops_remove(). */
struct uj_inspected {
  /* Set before it is added. */
  void *owner;
  struct uj_driver *driver;
  struct uj_poke *poke;   /* that interrupts a job, if it is added; or NULL */
  struct uj_watch *watch; /* says whether still the same job runs */
  /* In a copy: writes the answer, and ends it. `outside`: the loop's thread is
   * not there; it was somewhere in a function of C. */
  void (*tell)(void *owner, const struct uj_question *question, bool outside);
  /* In the loop: does what is asked. It must not suspend. Returns NULL or a
   * text that says why it has not, which stays until it is called again. */
  const char *(*act)(void *owner, const struct uj_question *question);

  atomic_bool asked; /* there may be a question */

  /* Under the lock of the room. */
  bool added;
  unsigned number;                    /* unique in the process */
  const struct uj_question *question; /* borrowed from who asks; or NULL */
  struct uj_answer *answer;           /* likewise */
  struct uj_inspected *next;
};

/* Returns the number of loops that there are then. */
unsigned uj_loops_add(struct uj_inspected *loop);
/* It may be called for one that is not added. Returns the number that is left.
 */
unsigned uj_loops_remove(struct uj_inspected *loop);

/* In the loop, when `asked` is set: answers. */
void uj_loops_answer(struct uj_inspected *loop);

/* Wakes all loops, such as to have them begin something. In any thread, and in
 * a signal handler. */
void uj_loops_wake(void);

/* What became of a question. */
enum uj_asked {
  UJ_ASKED_GONE,    /* the loop has ended */
  UJ_ASKED_COPY,    /* `copy` answers it */
  UJ_ASKED_OUTSIDE, /* the same, and the loop did not make it */
  UJ_ASKED_ACTED,   /* it is done, or refused */
  UJ_ASKED_BUSY,    /* the loop did not come to it */
  UJ_ASKED_FAILED   /* no copy can be made: `copy` is a negative errno */
};
/* Asks the loop with this number. */
enum uj_asked uj_loops_ask(unsigned number, const struct uj_question *question,
                           struct uj_answer *answer);
/* The next number after this one that a loop has; 0 for none. */
unsigned uj_loops_next(unsigned number);

#endif
