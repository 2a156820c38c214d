#include "loop/poke.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

/* The handlers of the process. */
static struct {
  pthread_mutex_t lock;
  int users[NSIG]; /* pokes that use a signal */
  struct sigaction before[NSIG];
} handlers = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What is to be called when another process calls, or NULL. */
static void (*_Atomic hearer)(void);

/* The pokes of this thread, the innermost first. The signal handler reads it,
 * so the variable's memory must exist before it is first touched. glibc makes
 * the memory of a module's variables when a thread first touches one, unless
 * they are declared so; it keeps some room for them. Others, like musl, have no
 * such room, but make the memory when the module is loaded. */
static _Thread_local struct uj_poke *own_pokes
#ifdef __GLIBC__
    __attribute__((tls_model("initial-exec")))
#endif
    ;

/* ---- the signal ---------------------------------------------------------- */

static void pass_on(int number, siginfo_t *info, void *context)
{
  const struct sigaction *before = &handlers.before[number];
  if (before->sa_flags & SA_SIGINFO)
    before->sa_sigaction(number, info, context);
  else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN)
    before->sa_handler(number);
}

/* Systems without SI_QUEUE have no signals with values. */
static bool is_call(int number, const siginfo_t *info)
{
#if defined(SI_QUEUE)
  return number == SIGURG && info->si_code == SI_QUEUE &&
         info->si_value.sival_int == UJ_POKE_CALL;
#else
  (void)number;
  (void)info;
  return false;
#endif
}

static bool hear(int number, const siginfo_t *info)
{
  void (*heard)(void) = atomic_load(&hearer);
  if (heard == NULL || !is_call(number, info))
    return false;
  heard();
  return true;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
  int error = errno;
  bool ours = hear(number, info);
  for (struct uj_poke *poke = own_pokes; poke != NULL; poke = poke->outer)
    if (poke->signal == number && atomic_exchange(&poke->sent, false)) {
      ours = true;
      poke->interrupt(poke->arg);
    }
  if (!ours)
    pass_on(number, info, context);
  errno = error;
}

/* SA_RESTART: an interrupted system call of another library starts again. */
static int take_signal(int number)
{
  struct sigaction action;
  if (handlers.users[number] > 0) {
    handlers.users[number]++;
    return 0;
  }
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  if (sigaction(number, &action, &handlers.before[number]) != 0)
    return -errno;
  handlers.users[number]++;
  return 0;
}

/* Puts the previous handler back, unless somebody has taken the signal since.
 */
static void leave_signal(int number)
{
  struct sigaction action;
  if (--handlers.users[number] > 0)
    return;
  sigaction(number, NULL, &action);
  if ((action.sa_flags & SA_SIGINFO) && action.sa_sigaction == on_signal)
    sigaction(number, &handlers.before[number], NULL);
}

static const struct {
  const char *name;
  int number;
} signals[] = {
    {"SIGURG", SIGURG},     {"SIGUSR1", SIGUSR1},     {"SIGUSR2", SIGUSR2},
    {"SIGALRM", SIGALRM},   {"SIGVTALRM", SIGVTALRM}, {"SIGPROF", SIGPROF},
    {"SIGWINCH", SIGWINCH}, {"SIGIO", SIGIO},
};

int uj_poke_signal(void)
{
  return SIGURG;
}

int uj_poke_signal_named(const char *name)
{
  for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
    if (strcmp(signals[i].name, name) == 0)
      return signals[i].number;
  return 0;
}

/* ---- pokes --------------------------------------------------------------- */

/* Returns whether the signal was blocked in this thread before. */
static bool set_mask(int how, int number)
{
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, number);
  pthread_sigmask(how, &set, &before);
  return sigismember(&before, number) == 1;
}

/* In the child of a fork the thread that held the lock may not exist. */
static void renew_lock(void)
{
  pthread_mutex_init(&handlers.lock, NULL);
}

static void watch_forks(void)
{
  pthread_atfork(NULL, NULL, renew_lock);
}

/* Returns 0 or a negative error. */
static int use(int number)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  int error;
  pthread_once(&once, watch_forks);
  pthread_mutex_lock(&handlers.lock);
  error = take_signal(number);
  pthread_mutex_unlock(&handlers.lock);
  return error;
}

static void stop_using(int number)
{
  pthread_mutex_lock(&handlers.lock);
  leave_signal(number);
  pthread_mutex_unlock(&handlers.lock);
}

int uj_poke_add(struct uj_poke *poke)
{
  pthread_t thread = pthread_self();
  int error;
  _Static_assert(sizeof(thread) <= sizeof(poke->thread), "pthread_t");
  error = use(poke->signal);
  if (error != 0)
    return error;
  memcpy(&poke->thread, &thread, sizeof(thread));
  atomic_store(&poke->sent, false);
  poke->outer = own_pokes;
  atomic_signal_fence(memory_order_release); /* for the handler */
  own_pokes = poke;
  poke->was_blocked = set_mask(SIG_UNBLOCK, poke->signal);
  return 0;
}

void uj_poke_remove(struct uj_poke *poke)
{
  struct uj_poke **link = &own_pokes;
  while (*link != poke)
    link = &(*link)->outer;
  *link = poke->outer;
  if (poke->was_blocked)
    set_mask(SIG_BLOCK, poke->signal);
  stop_using(poke->signal);
}

void uj_poke_send(struct uj_poke *poke)
{
  pthread_t thread;
  memcpy(&thread, &poke->thread, sizeof(thread));
  atomic_store(&poke->sent, true);
  pthread_kill(thread, poke->signal);
}

/* ---- calls of other processes -------------------------------------------- */

int uj_poke_hear(void (*heard)(void))
{
  int error = use(SIGURG);
  if (error == 0)
    atomic_store(&hearer, heard);
  return error;
}

void uj_poke_stop_hearing(void)
{
  stop_using(SIGURG);
}
