#define _GNU_SOURCE
#include "inspect/copy.h"

#if defined(__linux__)

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A copy that computes for longer than this goes round in circles: what it
 * looks at may be half changed. */
enum { MOST_SECONDS = 20 };

/* How a copy ends. */
enum { GOOD = 0, BAD = 10 };

/* ---- making one ---------------------------------------------------------- */

/* The kernel's fork, without what the C library does besides: it calls
 * handlers, and takes the locks of malloc(), which can be held for long. The
 * end of such a child sends no signal. The arguments are all zero, so their
 * order, which differs between processors, does not matter. */
static pid_t clone_process(void)
{
  long pid = syscall(SYS_clone, 0L, 0L, 0L, 0L, 0L);
  return pid < 0 ? -errno : (pid_t)pid;
}

/* What the copy does wrong must not be handled by the program's own handlers.
 */
static void reset_signals(void)
{
  static const int numbers[] = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,
                                SIGABRT, SIGTRAP, SIGXCPU, SIGSYS};
  struct sigaction action;
  sigset_t set;
  memset(&action, 0, sizeof(action));
  action.sa_handler = SIG_DFL;
  sigemptyset(&set);
  for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
    (void)sigaction(numbers[i], &action, NULL);
    sigaddset(&set, numbers[i]);
  }
  (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void set_limits(pid_t parent)
{
  struct rlimit none = {0, 0}, time = {MOST_SECONDS, MOST_SECONDS};
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  (void)prctl(PR_SET_NAME, "uvjobs look");
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent)
    _exit(BAD); /* it has ended before that, and nobody waits for this */
  (void)setrlimit(RLIMIT_CORE, &none);
  (void)setrlimit(RLIMIT_CPU, &time);
  if (fd >= 0) {
    (void)!write(fd, "1000", 4);
    close(fd);
  }
}

/* A connection that the process closes meanwhile is to be closed. Kernels from
 * before 5.9 cannot do it at once: there it is closed when the copy ends. */
static void close_others(unsigned fd)
{
#ifdef SYS_close_range
  if (fd > 0)
    (void)syscall(SYS_close_range, 0U, fd - 1, 0U);
  (void)syscall(SYS_close_range, fd + 1, ~0U, 0U);
#else
  (void)fd;
#endif
}

pid_t uj_copy_make(int fd)
{
  sigset_t all, before;
  pid_t pid, parent = getpid();
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid = clone_process();
  if (pid == 0) {
    close_others((unsigned)fd);
    reset_signals();
    set_limits(parent);
    return 0;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return pid;
}

int uj_copy_open_file(void)
{
  int fd = memfd_create("uvjobs look", MFD_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

/* ---- in the copy --------------------------------------------------------- */

_Noreturn void uj_copy_end(bool is_good)
{
  _exit(is_good ? GOOD : BAD);
}

bool uj_copy_write(int fd, const char *text, size_t n)
{
  while (n > 0) {
    ssize_t written = write(fd, text, n); /* all signals are blocked */
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return false;
    text += written;
    n -= (size_t)written;
  }
  return true;
}

#define PIECE ((size_t)4 << 20)
#define ALIGNMENT ((size_t)16)

static struct {
  char *at;
  size_t left;
} room;

static void *take(size_t size)
{
  void *block;
  size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
  if (size > room.left) {
    size_t piece = size > PIECE ? size : PIECE;
    block = mmap(NULL, piece, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED)
      return NULL;
    room.at = block;
    room.left = piece;
  }
  block = room.at;
  room.at += size;
  room.left -= size;
  return block;
}

void *uj_copy_alloc(void *unused, void *block, size_t old_size, size_t size)
{
  void *bigger;
  (void)unused;
  if (size == 0)
    return NULL;
  if (block != NULL && size <= old_size)
    return block;
  bigger = take(size);
  if (bigger != NULL && block != NULL)
    memcpy(bigger, block, old_size);
  return bigger;
}

/* ---- beside it ----------------------------------------------------------- */

enum uj_copy_end uj_copy_look(pid_t copy)
{
  int status;
  pid_t found = waitpid(copy, &status, WNOHANG | __WALL);
  if (found == 0 || (found < 0 && errno == EINTR))
    return UJ_COPY_RUNS;
  if (found < 0 || !WIFEXITED(status))
    return UJ_COPY_CRASHED;
  return WEXITSTATUS(status) == GOOD ? UJ_COPY_GOOD : UJ_COPY_BAD;
}

void uj_copy_kill(pid_t copy)
{
  int status;
  (void)kill(copy, SIGKILL);
  while (waitpid(copy, &status, __WALL) < 0 && errno == EINTR)
    ;
}

#else

#include <errno.h>
#include <stdlib.h>

/* No copy is made, so nothing of the rest is called. */
pid_t uj_copy_make(int fd)
{
  (void)fd;
  return -ENOSYS;
}

int uj_copy_open_file(void)
{
  return -ENOSYS;
}

_Noreturn void uj_copy_end(bool is_good)
{
  (void)is_good;
  abort();
}

bool uj_copy_write(int fd, const char *text, size_t n)
{
  (void)fd;
  (void)text;
  (void)n;
  return false;
}

void *uj_copy_alloc(void *unused, void *block, size_t old_size, size_t size)
{
  (void)unused;
  (void)block;
  (void)old_size;
  (void)size;
  return NULL;
}

enum uj_copy_end uj_copy_look(pid_t copy)
{
  (void)copy;
  return UJ_COPY_BAD;
}

void uj_copy_kill(pid_t copy)
{
  (void)copy;
}

#endif
