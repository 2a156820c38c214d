/* For kill_matrix.lua: a library that is loaded before others, and ends the
 * process with SIGKILL at the n-th message to or from the server, which is
 * FAULT_AT: before it is sent, after it was sent, or after it has come. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/types.h>

static long count;

static void reach(void)
{
  const char *at = getenv("FAULT_AT");
  if (at != NULL && __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST) == atol(at))
    raise(SIGKILL);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
  ssize_t (*real)(int, const void *, size_t, int) =
      (ssize_t(*)(int, const void *, size_t, int))dlsym(RTLD_NEXT, "send");
  ssize_t sent;
  reach();
  sent = real(fd, data, size, flags);
  reach();
  return sent;
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
  ssize_t (*real)(int, void *, size_t, int) =
      (ssize_t(*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
  ssize_t got = real(fd, data, size, flags);
  if (got > 0)
    reach();
  return got;
}
