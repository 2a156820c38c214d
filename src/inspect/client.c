#define _GNU_SOURCE
#include "inspect/client.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "loop/poke.h"

#if defined(__linux__)

int uj_client_call(pid_t process)
{
  union sigval value;
  memset(&value, 0, sizeof(value));
  value.sival_int = UJ_POKE_CALL;
  return sigqueue(process, SIGURG, value) == 0 ? 0 : -errno;
}

static int connect_to(int fd, const char *path, uint64_t limit_ns)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct timeval limit = {.tv_sec = (time_t)(limit_ns / 1000000000),
                          .tv_usec =
                              (suseconds_t)(limit_ns % 1000000000 / 1000)};
  if (strlen(path) >= sizeof(address.sun_path))
    return -ENAMETOOLONG;
  memcpy(address.sun_path, path, strlen(path) + 1);
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0
             ? 0
             : -errno;
}

static int check_peer(int fd, uid_t user)
{
  struct ucred other;
  socklen_t size = sizeof(other);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &size) != 0)
    return -errno;
  return other.uid == 0 || other.uid == user ? 0 : -EPERM;
}

int uj_client_connect(const char *path, uint64_t limit_ns, uid_t user)
{
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int error;
  if (fd < 0)
    return -errno;
  error = connect_to(fd, path, limit_ns);
  if (error == 0)
    error = check_peer(fd, user);
  if (error == 0)
    return fd;
  close(fd);
  return error;
}

int uj_client_send(int fd, const char *text, size_t n)
{
  while (n > 0) {
    ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0)
      return -errno;
    text += sent;
    n -= (size_t)sent;
  }
  return 0;
}

ssize_t uj_client_receive(int fd, char *text, size_t size)
{
  ssize_t n;
  do
    n = recv(fd, text, size, 0);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

#else

int uj_client_call(pid_t process)
{
  (void)process;
  return -ENOSYS;
}

int uj_client_connect(const char *path, uint64_t limit_ns, uid_t user)
{
  (void)user;
  (void)path;
  (void)limit_ns;
  return -ENOSYS;
}

int uj_client_send(int fd, const char *text, size_t n)
{
  (void)fd;
  (void)text;
  (void)n;
  return -ENOSYS;
}

ssize_t uj_client_receive(int fd, char *text, size_t size)
{
  (void)fd;
  (void)text;
  (void)size;
  return -ENOSYS;
}

#endif
