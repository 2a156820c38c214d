#include "inspect/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static bool taken;

void uj_terminal_give_back(void)
{
  if (taken)
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  taken = false;
}

/* That it is called is enough: it ends a wait. */
static void on_size(int number)
{
  (void)number;
}

static void watch_size(void)
{
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = on_size;
  sigemptyset(&action.sa_mask);
  (void)sigaction(SIGWINCH, &action, NULL);
}

bool uj_terminal_take(void)
{
  static bool registered;
  struct termios now;
  if (tcgetattr(STDIN_FILENO, &before) != 0)
    return false;
  now = before;
  now.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
  if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &now) != 0)
    return false;
  taken = true;
  if (!registered)
    (void)atexit(uj_terminal_give_back);
  registered = true;
  watch_size();
  return true;
}

int uj_terminal_read(char *keys, size_t size, uint64_t limit_ns)
{
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  ssize_t n;
  if (poll(&input, 1, (int)(limit_ns / 1000000)) <= 0)
    return 0;
  n = read(STDIN_FILENO, keys, size);
  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return 0;
  return n <= 0 ? -1 : (int)n;
}
