#include "loop/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The lowest number that is free is that of the place, as those below are in
 * use. */
static int fill(int place)
{
  int fd;
  if (fcntl(place, F_GETFD) != -1 || errno != EBADF)
    return 0;
  fd = open("/dev/null", place == STDIN_FILENO ? O_RDONLY : O_WRONLY);
  if (fd < 0)
    return -errno;
  if (fd != place) /* another thread has taken the place meanwhile */
    close(fd);
  return 0;
}

int uj_standard_open(void)
{
  for (int place = STDIN_FILENO; place <= STDERR_FILENO; place++) {
    int error = fill(place);
    if (error != 0)
      return error;
  }
  return 0;
}

/* Takes them one inside of the other, and gives them back on the way out. */
bool uj_standard_has_descriptors(int n)
{
  bool has;
  int fd;
  if (n == 0)
    return true;
  fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
  if (fd < 0)
    return false;
  has = uj_standard_has_descriptors(n - 1);
  close(fd);
  return has;
}

bool uj_standard_flush(void)
{
  return fflush(stdout) == 0 && ferror(stdout) == 0;
}

bool uj_standard_get_size(int fd, int *columns, int *rows)
{
  struct winsize size;
  if (isatty(fd) != 1)
    return false;
  *columns = 80;
  *rows = 24;
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    *columns = size.ws_col;
    *rows = size.ws_row;
  }
  return true;
}

bool uj_standard_is_interactive(void)
{
  return isatty(STDIN_FILENO) == 1;
}
