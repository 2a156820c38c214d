#define _GNU_SOURCE
#include "inspect/loops.h"

#if defined(__linux__)

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "inspect/copy.h"
#include "loop/driver.h"
#include "loop/monitor.h"
#include "loop/poke.h"

/* How long a loop has to answer, from when it has last begun or left a job; how
 * long it has when it does so all the time; and how often it is poked
 * meanwhile: a poke between two jobs is not heard. */
enum { PATIENCE_MS = 80, MOST_MS = 2000, POKE_MS = 8 };

/* ---- waking, also from a signal handler ---------------------------------- */

/* The drivers of the loops, for a handler that can take no lock. Who takes one
 * out waits until no handler is at work that may have seen it; a handler in its
 * own thread is over by then. More loops than this wake up by themselves only.
 */
enum { DRIVERS = 64 };
static struct uj_driver *_Atomic drivers[DRIVERS];
static atomic_int handlers;

static void add_driver(struct uj_driver *driver)
{
  for (int i = 0; i < DRIVERS; i++) {
    struct uj_driver *none = NULL;
    if (atomic_compare_exchange_strong(&drivers[i], &none, driver))
      return;
  }
}

static void remove_driver(struct uj_driver *driver)
{
  static const struct timespec moment = {0, 10000};
  for (int i = 0; i < DRIVERS; i++) {
    struct uj_driver *found = driver;
    (void)atomic_compare_exchange_strong(&drivers[i], &found, NULL);
  }
  while (atomic_load(&handlers) > 0)
    (void)nanosleep(&moment, NULL);
}

void uj_loops_wake(void)
{
  atomic_fetch_add(&handlers, 1);
  for (int i = 0; i < DRIVERS; i++) {
    struct uj_driver *driver = atomic_load(&drivers[i]);
    if (driver != NULL)
      uj_driver_wake(driver);
  }
  atomic_fetch_sub(&handlers, 1);
}

/* ---- all loops ----------------------------------------------------------- */

/* `changed` is told when a loop has answered, can be asked again, or ends. */
static struct {
  pthread_once_t once;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct uj_inspected *first;
  unsigned count, last;
} loops = {.once = PTHREAD_ONCE_INIT};

static void init(void)
{
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&loops.lock, NULL);
  pthread_cond_init(&loops.changed, &attributes);
  pthread_condattr_destroy(&attributes);
}

/* The threads of the parent are not there, and neither is a question. */
static void forget(void)
{
  init();
  for (struct uj_inspected *loop = loops.first; loop != NULL;
       loop = loop->next) {
    loop->question = NULL;
    atomic_store(&loop->asked, false);
  }
}

static void init_once(void)
{
  init();
  pthread_atfork(NULL, NULL, forget);
}

static void lock(void)
{
  pthread_once(&loops.once, init_once);
  pthread_mutex_lock(&loops.lock);
}

static void unlock(void)
{
  pthread_mutex_unlock(&loops.lock);
}

unsigned uj_loops_add(struct uj_inspected *loop)
{
  unsigned count;
  lock();
  loop->question = NULL;
  loop->number = ++loops.last;
  loop->next = loops.first;
  loop->added = true;
  loops.first = loop;
  count = ++loops.count;
  unlock();
  add_driver(loop->driver);
  return count;
}

/* Whoever waits for its answer finds that it is not there any more. */
static void take_out(struct uj_inspected *loop)
{
  struct uj_inspected **link = &loops.first;
  while (*link != loop)
    link = &(*link)->next;
  *link = loop->next;
  loop->added = false;
  loops.count--;
  atomic_store(&loop->asked, false);
  pthread_cond_broadcast(&loops.changed);
}

unsigned uj_loops_remove(struct uj_inspected *loop)
{
  unsigned count;
  if (loop->added)
    remove_driver(loop->driver);
  lock();
  if (loop->added)
    take_out(loop);
  count = loops.count;
  unlock();
  return count;
}

static struct uj_inspected *find(unsigned number)
{
  struct uj_inspected *loop = loops.first;
  while (loop != NULL && loop->number != number)
    loop = loop->next;
  return loop;
}

unsigned uj_loops_next(unsigned number)
{
  unsigned next = 0;
  lock();
  for (struct uj_inspected *loop = loops.first; loop != NULL; loop = loop->next)
    if (loop->number > number && (next == 0 || loop->number < next))
      next = loop->number;
  unlock();
  return next;
}

/* ---- a question ---------------------------------------------------------- */

/* Only in a copy does tell() go on, and never comes back. */
static pid_t copy(struct uj_inspected *self, const struct uj_question *question,
                  bool outside)
{
  pid_t pid = uj_copy_make(question->fd);
  if (pid != 0)
    return pid;
  self->tell(self->owner, question, outside);
  uj_copy_end(false);
}

/* Without the lock: what is done may take its time, and may lead to anything.
 */
static void act(struct uj_inspected *self, struct uj_answer *answer)
{
  const char *refusal;
  answer->is_taken = true;
  unlock();
  refusal = self->act(self->owner, self->question);
  lock();
  answer->is_refused = refusal != NULL;
  (void)snprintf(answer->refusal, sizeof(answer->refusal), "%s",
                 refusal != NULL ? refusal : "");
}

void uj_loops_answer(struct uj_inspected *self)
{
  struct uj_answer *answer;
  lock();
  atomic_store(&self->asked, false);
  answer = self->answer;
  if (self->question != NULL && !answer->is_taken && !answer->is_there) {
    if (self->question->acts)
      act(self, answer);
    else
      answer->copy = copy(self, self->question, false);
    answer->is_there = true;
    pthread_cond_broadcast(&loops.changed);
  }
  unlock();
}

static struct timespec in(long ms)
{
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_nsec += ms * 1000000;
  at.tv_sec += at.tv_nsec / 1000000000;
  at.tv_nsec %= 1000000000;
  return at;
}

static bool is_past(struct timespec at)
{
  struct timespec now = in(0);
  return now.tv_sec != at.tv_sec ? now.tv_sec > at.tv_sec
                                 : now.tv_nsec >= at.tv_nsec;
}

/* Each loop takes one question after the other. Returns NULL when it ends. */
static struct uj_inspected *wait_for_turn(unsigned number)
{
  struct uj_inspected *loop = find(number);
  while (loop != NULL && loop->question != NULL) {
    pthread_cond_wait(&loops.changed, &loops.lock);
    loop = find(number);
  }
  return loop;
}

/* Waits until the loop has answered, or for as long as it may take. Returns
 * NULL when it has ended, which it may have after it has answered. */
static struct uj_inspected *wait_for(struct uj_inspected *loop)
{
  const unsigned number = loop->number;
  const struct uj_answer *answer = loop->answer;
  const bool acts = loop->question->acts; /* no copy can take its place */
  const struct timespec latest = in(MOST_MS);
  struct timespec end = in(PATIENCE_MS);
  uint64_t tick = atomic_load(&loop->watch->tick);
  while (loop != NULL && !answer->is_there &&
         (answer->is_taken || (!is_past(latest) && (acts || !is_past(end))))) {
    struct timespec until = in(POKE_MS);
    if (atomic_load(&loop->watch->tick) != tick) {
      tick = atomic_load(&loop->watch->tick);
      end = in(PATIENCE_MS);
    }
    if (loop->poke != NULL && !answer->is_taken)
      uj_poke_send(loop->poke);
    (void)pthread_cond_timedwait(&loops.changed, &loops.lock, &until);
    loop = find(number);
  }
  return loop;
}

/* Returns NULL when the loop has ended. */
static struct uj_inspected *put(struct uj_inspected *loop,
                                const struct uj_question *question,
                                struct uj_answer *answer)
{
  *answer = (struct uj_answer){0};
  loop->question = question;
  loop->answer = answer;
  atomic_store(&loop->asked, true);
  uj_driver_wake(loop->driver);
  return wait_for(loop);
}

/* The next one may ask. */
static void withdraw(struct uj_inspected *loop)
{
  loop->question = NULL;
  loop->answer = NULL;
  atomic_store(&loop->asked, false);
  pthread_cond_broadcast(&loops.changed);
}

static enum uj_asked ask(struct uj_inspected *loop,
                         const struct uj_question *question,
                         struct uj_answer *answer)
{
  bool outside;
  loop = put(loop, question, answer);
  outside = loop != NULL && !answer->is_there;
  if (outside && !question->acts)
    answer->copy = copy(loop, question, true);
  if (loop != NULL)
    withdraw(loop);
  if (!answer->is_there && !outside)
    return UJ_ASKED_GONE;
  if (question->acts)
    return outside ? UJ_ASKED_BUSY : UJ_ASKED_ACTED;
  if (answer->copy < 0)
    return UJ_ASKED_FAILED;
  return outside ? UJ_ASKED_OUTSIDE : UJ_ASKED_COPY;
}

enum uj_asked uj_loops_ask(unsigned number, const struct uj_question *question,
                           struct uj_answer *answer)
{
  enum uj_asked asked = UJ_ASKED_GONE;
  struct uj_inspected *loop;
  lock();
  loop = wait_for_turn(number);
  if (loop != NULL)
    asked = ask(loop, question, answer);
  unlock();
  return asked;
}

#else

/* Nobody can ask. */
void uj_loops_answer(struct uj_inspected *self)
{
  (void)self;
}

#endif
