#include "loop/signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "core/link.h"
#include "loop/groups.h"

/* The first ones can be chosen by their names, and a signal's place is its bit.
 * SIGPIPE is the last. */
static const struct {
  const char *name;
  int number;
} known[] = {
    {"SIGINT", SIGINT},   {"SIGTERM", SIGTERM}, {"SIGHUP", SIGHUP},
    {"SIGQUIT", SIGQUIT}, {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2},
    {"SIGPIPE", SIGPIPE},
};
enum { KNOWN = sizeof(known) / sizeof(*known), PIPE = KNOWN - 1 };

/* One signal of one loop. */
struct entry {
  uv_signal_t handle;
  struct sigaction before; /* to go back to, if `restores` */
  bool restores;
  bool taken;       /* the handle is started */
  bool was_blocked; /* the thread had it blocked */
  bool dumps;       /* it asks for a dump, and does not end the run */
};

struct uj_signals {
  struct entry entries[KNOWN];
  int came;  /* the number of the one that nobody has taken yet; or 0 */
  bool dump; /* one has asked for a dump that nobody has made yet */
  bool started;
};

unsigned uj_signals_named(const char *name)
{
  for (unsigned i = 0; i < PIPE; i++)
    if (strcmp(known[i].name, name) == 0)
      return 1U << i;
  return 0;
}

const char *uj_signals_name(int number)
{
  for (int i = 0; i < KNOWN; i++)
    if (known[i].number == number)
      return known[i].name;
  return "a signal";
}

bool uj_signals_has(unsigned set, int number)
{
  for (unsigned i = 0; i < PIPE; i++)
    if ((set & (1U << i)) != 0 && known[i].number == number)
      return true;
  return false;
}

/* ---- the handlers of the process ----------------------------------------- */

/* How many loops take signals, and how many of them are ended by each; whether
 * one has come since the latest of them began to; how many have come; and
 * libuv's own handler, which wakes the loops. A second signal must end the
 * process even while a job holds the loop, so it does not go through libuv. */
static atomic_int users;
static atomic_int ended[KNOWN];
static atomic_bool seen;
static atomic_bool pipe_seen;
static atomic_uint count;
static void (*_Atomic libuv_handler)(int);

unsigned uj_signals_count(void)
{
  return count;
}

static void set_handler(int number, void (*handler)(int))
{
  struct sigaction action;
  sigaction(number, NULL, &action);
  action.sa_handler = handler;
  sigaction(number, &action, NULL);
}

static void (*get_handler(int number))(int)
{
  struct sigaction action;
  sigaction(number, NULL, &action);
  return action.sa_handler;
}

/* Whether standard output or standard error has no reader any more. The signal
 * does not say which descriptor was written to. */
static bool is_output_broken(void)
{
  struct pollfd outputs[] = {{.fd = STDOUT_FILENO}, {.fd = STDERR_FILENO}};
  int error = errno;
  bool broken =
      poll(outputs, 2, 0) > 0 &&
      ((outputs[0].revents | outputs[1].revents) & (POLLERR | POLLHUP)) != 0;
  errno = error;
  return broken;
}

/* Whether the signal ends a run. */
static bool ends(int number)
{
  for (int i = 0; i < KNOWN; i++)
    if (known[i].number == number)
      return ended[i] > 0;
  return false;
}

/* A broken output is told only once, and is not a first signal after which the
 * next one ends the process: it comes again with each print() of the clean-up.
 */
static void handle(int number)
{
  if (number == SIGPIPE) {
    if (!is_output_broken() || atomic_exchange(&pipe_seen, true))
      return;
  } else if (ends(number) && atomic_exchange(&seen, true)) {
    uj_groups_kill();
    _exit(128 + number);
  }
  count++;
  libuv_handler(number);
}

/* The handler of SIGPIPE outside of runs. The signal that is raised comes when
 * this has returned. */
static void handle_pipe(int number)
{
  if (!is_output_broken())
    return;
  set_handler(number, SIG_DFL);
  (void)raise(number);
}

void uj_signals_catch_sigpipe(void)
{
  struct sigaction action;
  if (sigaction(SIGPIPE, NULL, &action) != 0 || action.sa_handler != SIG_DFL)
    return;
  memset(&action, 0, sizeof(action));
  action.sa_handler = handle_pipe;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  (void)sigaction(SIGPIPE, &action, NULL);
}

/* ---- masks of threads ---------------------------------------------------- */

/* Returns whether the signal was blocked before. */
static bool set_mask(int how, int number)
{
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, number);
  pthread_sigmask(how, &set, &before);
  return sigismember(&before, number) == 1;
}

bool uj_signals_unblock_child(void)
{
  return set_mask(SIG_UNBLOCK, SIGCHLD);
}

void uj_signals_block_child(void)
{
  (void)set_mask(SIG_BLOCK, SIGCHLD);
}

/* ---- the signals of a loop ----------------------------------------------- */

static void on_signal(uv_signal_t *handle, int number)
{
  struct uj_signals *self = handle->data;
  const struct entry *entry = uj_container(handle, struct entry, handle);
  if (entry->dumps)
    self->dump = true;
  else
    self->came = number;
}

struct uj_signals *uj_signals_new(void *loop)
{
  struct uj_signals *self = calloc(1, sizeof(*self));
  if (self == NULL)
    return NULL;
  for (int i = 0; i < KNOWN; i++) {
    uv_signal_init(loop, &self->entries[i].handle);
    self->entries[i].handle.data = self;
  }
  return self;
}

bool uj_signals_takes_sigint(const struct uj_signals *self)
{
  return self->entries[0].taken;
}

void uj_signals_free(struct uj_signals *self)
{
  free(self);
}

/* A handler that somebody has for SIGPIPE stays; ours, and that of another loop
 * of ours, give way. */
static bool may_take(int i)
{
  void (*handler)(int) = get_handler(known[i].number);
  if (i != PIPE)
    return handler != SIG_IGN;
  return handler == SIG_DFL || handler == handle_pipe || handler == handle;
}

/* Puts our handler before that of libuv, unless another loop has already done
 * so. */
static int start(struct entry *entry, int i)
{
  const int number = known[i].number;
  int error;
  sigaction(number, NULL, &entry->before);
  error = uv_signal_start(&entry->handle, on_signal, number);
  if (error != 0)
    return error;
  entry->taken = true;
  if (!entry->dumps)
    ended[i]++;
  entry->restores = entry->before.sa_handler != handle;
  entry->was_blocked = set_mask(SIG_UNBLOCK, number);
  if (get_handler(number) != handle) {
    libuv_handler = get_handler(number);
    set_handler(number, handle);
  }
  return 0;
}

/* Whether somebody else has set it while we had the signal: such as a luv that
 * has another libuv inside. */
static bool is_foreign(const struct sigaction *action)
{
  return action->sa_handler != handle && action->sa_handler != SIG_DFL &&
         action->sa_handler != libuv_handler;
}

/* A library may have blocked the signal meanwhile, and what is blocked stays so
 * for the thread and for its child processes: cqueues forgets to let SIGPIPE
 * through again after a handshake of TLS. One that has come is still heard by
 * our handler.
 *
 * When libuv's last handle for a signal stops, libuv restores the default
 * action, whatever the action is: one that somebody has set since stays, and
 * so does the handler that the interpreter may have had before. */
static void stop(struct entry *entry, int i)
{
  const int number = known[i].number;
  struct sigaction found;
  if (!entry->taken)
    return;
  entry->taken = false;
  if (!entry->dumps)
    ended[i]--;
  (void)set_mask(SIG_UNBLOCK, number);
  sigaction(number, NULL, &found);
  uv_signal_stop(&entry->handle);
  if (is_foreign(&found))
    sigaction(number, &found, NULL);
  else if (entry->restores && get_handler(number) == SIG_DFL)
    sigaction(number, &entry->before, NULL);
  else if (users == 0 && get_handler(number) == handle)
    set_handler(number, libuv_handler);
  entry->restores = false;
  if (entry->was_blocked)
    (void)set_mask(SIG_BLOCK, number);
}

int uj_signals_start(struct uj_signals *self, unsigned set, unsigned dumps)
{
  self->came = 0;
  self->dump = false;
  if ((set | dumps) == UJ_SIGNALS_NONE)
    return 0;
  self->started = true;
  users++;
  seen = false;
  pipe_seen = false;
  if (set != UJ_SIGNALS_NONE)
    set |= 1U << PIPE;
  for (int i = 0; i < KNOWN; i++) {
    int error = 0;
    self->entries[i].dumps = (dumps & (1U << i)) != 0;
    if (((set | dumps) & (1U << i)) != 0 && may_take(i))
      error = start(&self->entries[i], i);
    if (error != 0) {
      uj_signals_stop(self);
      return error;
    }
  }
  return 0;
}

void uj_signals_stop(struct uj_signals *self)
{
  if (!self->started)
    return;
  self->started = false;
  users--;
  for (int i = 0; i < KNOWN; i++)
    stop(&self->entries[i], i);
}

int uj_signals_take(struct uj_signals *self)
{
  int number = self->came;
  self->came = 0;
  return number;
}

bool uj_signals_take_dump(struct uj_signals *self)
{
  bool dump = self->dump;
  self->dump = false;
  return dump;
}

bool uj_signals_wait_for_taker(const struct uj_signals *self)
{
  return self->came != 0 || self->dump;
}

void uj_signals_end_at_once(struct uj_signals *self)
{
  if (self->started && users == 1)
    seen = true;
}
