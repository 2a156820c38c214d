#define _GNU_SOURCE
#include "inspect/server.h"

#include <errno.h>

#if defined(__linux__)

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "inspect/copy.h"
#include "inspect/place.h"
#include "loop/monitor.h"
#include "loop/poke.h"

enum {
  CLIENTS = 8,
  LINE = 1000,        /* the longest question */
  LINGER_MS = 60000,  /* see above */
  READ_SECONDS = 600, /* how long a connection may be silent */
  WRITE_SECONDS = 2,  /* how long a client may take nothing */
  ANSWER_MS = 30000,  /* how long a copy may take for all of it */
  STACK = 512 * 1024, /* of a thread, in which a copy may run Lua */
  TRIES = 4           /* copies of a loop that does not answer */
};

struct client {
  pthread_t thread;
  int fd;           /* -1: the place is free */
  atomic_bool over; /* the thread is to be joined */
};

/* `life` is held while the server begins or ends. */
static struct {
  pthread_mutex_t life;
  pthread_t thread;
  struct client clients[CLIENTS];
  char path[UJ_PLACE_SIZE];
  int listener;
  int stop;         /* an eventfd: all threads are to end */
  bool runs;        /* the thread exists */
  bool stays;       /* a loop wants it without being asked for it */
  atomic_bool over; /* the thread has ended by itself */
  atomic_bool called;
  atomic_uint refused; /* connections and lines that got no answer */
  atomic_uint answered;
} server = {.life = PTHREAD_MUTEX_INITIALIZER, .listener = -1, .stop = -1};

/* ---- writing ------------------------------------------------------------- */

/* Returns whether all was written. */
static bool say(int fd, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool say(int fd, const char *format, ...)
{
  char line[512];
  va_list arguments;
  int n;
  va_start(arguments, format);
  n = vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  if (n < 0 || (size_t)n >= sizeof(line))
    return false;
  return send(fd, line, (size_t)n, MSG_NOSIGNAL) == n;
}

/* ---- answers ------------------------------------------------------------- */

static bool is_stopped(void)
{
  struct pollfd stop = {.fd = server.stop, .events = POLLIN};
  return poll(&stop, 1, 0) != 0;
}

static void nap(void)
{
  static const struct timespec moment = {0, 1000000};
  (void)nanosleep(&moment, NULL);
}

static enum uj_copy_end wait_for(pid_t copy)
{
  for (int ms = 0; ms < ANSWER_MS && !is_stopped(); ms++) {
    enum uj_copy_end end = uj_copy_look(copy);
    if (end != UJ_COPY_RUNS)
      return end;
    nap();
  }
  uj_copy_kill(copy);
  return UJ_COPY_BAD;
}

/* What a copy of a loop that does not answer has crashed at is half changed: a
 * moment later it may not be. */
static bool ask_for_copy(unsigned loop, const struct uj_question *question)
{
  struct uj_answer answer;
  for (int i = 0; i < TRIES; i++) {
    enum uj_asked asked = uj_loops_ask(loop, question, &answer);
    enum uj_copy_end end;
    if (asked == UJ_ASKED_GONE)
      return true;
    if (asked == UJ_ASKED_FAILED)
      return say(question->fd, "error\tthe process cannot be copied: %s\n",
                 strerror(-answer.copy)) &&
             false;
    end = wait_for(answer.copy);
    if (end != UJ_COPY_CRASHED)
      return end == UJ_COPY_GOOD;
    if (asked == UJ_ASKED_COPY)
      break;
  }
  (void)say(question->fd, "error\tthe loop does not answer, and what it is "
                          "doing cannot be seen\n");
  return false;
}

/* Returns whether the connection goes on. */
static bool look(const struct uj_question *question)
{
  for (unsigned loop = 0; (loop = uj_loops_next(loop)) != 0;)
    if (!ask_for_copy(loop, question))
      return false;
  return say(question->fd, "end\n");
}

/* The loop that is meant by "cancel 93 of 2"; 0 for any. */
static unsigned loop_meant(const char *text)
{
  const char *of = strstr(text, " of ");
  return strncmp(text, "cancel ", 7) == 0 && of != NULL
             ? (unsigned)strtoul(of + 4, NULL, 10)
             : 0;
}

static bool act(const struct uj_question *question)
{
  const unsigned meant = loop_meant(question->text);
  struct uj_answer answer;
  char refusal[sizeof(answer.refusal)] = "there is no loop";
  for (unsigned loop = 0; (loop = uj_loops_next(loop)) != 0;) {
    if (meant != 0 && loop != meant)
      continue;
    switch (uj_loops_ask(loop, question, &answer)) {
    case UJ_ASKED_ACTED:
      if (!answer.is_refused)
        return say(question->fd, "end\n");
      memcpy(refusal, answer.refusal, sizeof(refusal));
      break;
    case UJ_ASKED_BUSY:
      (void)snprintf(refusal, sizeof(refusal),
                     "the loop does not answer: a function of C holds it");
      break;
    default:
      break;
    }
  }
  return say(question->fd, "error\t%s\n", refusal);
}

static bool hello(int fd)
{
  unsigned loops = 0;
  for (unsigned loop = 0; (loop = uj_loops_next(loop)) != 0;)
    loops++;
  return say(fd, "hello\tpid=%ld\tloops=%u\tanswered=%u\trefused=%u\nend\n",
             (long)getpid(), loops, atomic_load(&server.answered),
             atomic_load(&server.refused));
}

static bool is_question(const char *line)
{
  size_t n = strspn(line, "abcdefghijklmnopqrstuvwxyz");
  if (n == 0 || (line[n] != '\0' && line[n] != ' '))
    return false;
  for (; line[n] != '\0'; n++)
    if ((unsigned char)line[n] < ' ' || line[n] == 0x7f)
      return false; /* names of files may have other bytes */
  return true;
}

static bool answer(int fd, const char *line)
{
  struct uj_question question = {.text = line, .fd = fd};
  if (!is_question(line)) {
    atomic_fetch_add(&server.refused, 1);
    return false;
  }
  atomic_fetch_add(&server.answered, 1);
  if (strcmp(line, "hello") == 0)
    return hello(fd);
  question.acts = strncmp(line, "cancel ", 7) == 0 ||
                  strncmp(line, "trace ", 6) == 0 ||
                  strncmp(line, "profile ", 8) == 0;
  return question.acts ? act(&question) : look(&question);
}

/* ---- a connection -------------------------------------------------------- */

/* Reads up to the end of a line, which it leaves out. Returns false at the end
 * of the connection, and for what is longer or has a zero in it. */
static bool read_line(int fd, char line[LINE + 1])
{
  size_t length = 0;
  for (;;) {
    struct pollfd ready[] = {{.fd = fd, .events = POLLIN},
                             {.fd = server.stop, .events = POLLIN}};
    ssize_t n;
    if (poll(ready, 2, READ_SECONDS * 1000) <= 0 || ready[1].revents != 0)
      return false;
    n = recv(fd, line + length, 1, 0);
    if (n <= 0)
      return false;
    if (line[length] == '\n')
      break;
    if (line[length] == '\0' || ++length > LINE) {
      atomic_fetch_add(&server.refused, 1);
      return false;
    }
  }
  line[length] = '\0';
  return true;
}

static void *serve(void *arg)
{
  struct client *client = arg;
  char line[LINE + 2];
  while (read_line(client->fd, line) && answer(client->fd, line))
    ;
  (void)shutdown(client->fd, SHUT_RDWR);
  atomic_store(&client->over, true);
  return NULL;
}

static bool is_ours(int fd)
{
  struct ucred other;
  socklen_t size = sizeof(other);
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &size) == 0 &&
         (other.uid == 0 || other.uid == geteuid());
}

/* A thread that no signal of the process goes to. */
static int start_thread(pthread_t *thread, void *(*fn)(void *), void *arg)
{
  pthread_attr_t attributes;
  sigset_t all, before;
  int error;
  sigfillset(&all);
  pthread_attr_init(&attributes);
  (void)pthread_attr_setstacksize(&attributes, STACK);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(thread, &attributes, fn, arg);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return -error;
}

/* Ends those that are over, or all of them. Returns how many are left. */
static int reap(bool all)
{
  int left = 0;
  for (int i = 0; i < CLIENTS; i++) {
    struct client *client = &server.clients[i];
    if (client->fd < 0)
      continue;
    if (!all && !atomic_load(&client->over)) {
      left++;
      continue;
    }
    (void)shutdown(client->fd, SHUT_RD); /* an answer may still be sent */
    pthread_join(client->thread, NULL);
    close(client->fd);
    client->fd = -1;
  }
  return left;
}

static bool admit(int fd)
{
  const struct timeval limit = {.tv_sec = WRITE_SECONDS};
  int i = 0;
  while (i < CLIENTS && server.clients[i].fd >= 0)
    i++;
  if (i == CLIENTS || !is_ours(fd))
    return false;
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  server.clients[i].fd = fd;
  atomic_store(&server.clients[i].over, false);
  if (start_thread(&server.clients[i].thread, serve, &server.clients[i]) == 0)
    return true;
  server.clients[i].fd = -1;
  return false;
}

static void accept_one(void)
{
  int fd = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0)
    return;
  (void)reap(false);
  if (admit(fd))
    return;
  atomic_fetch_add(&server.refused, 1);
  close(fd);
}

static void close_socket(void)
{
  if (server.listener >= 0) {
    (void)unlink(server.path);
    close(server.listener);
  }
  server.listener = -1;
}

/* Serves until it is stopped, or until nobody has been there for so long. */
static void *listen_for_clients(void *arg)
{
  enum { LOOK_MS = 1000 };
  int idle_ms = 0;
  (void)arg;
  while (server.stays || idle_ms < LINGER_MS) {
    struct pollfd ready[] = {{.fd = server.listener, .events = POLLIN},
                             {.fd = server.stop, .events = POLLIN}};
    int left = reap(false);
    int wait_ms = server.stays && left == 0 ? -1 : LOOK_MS;
    int n = poll(ready, 2, wait_ms);
    if (ready[1].revents != 0)
      break;
    if (n > 0 && ready[0].revents != 0)
      accept_one();
    idle_ms = n > 0 || left > 0 ? 0 : idle_ms + LOOK_MS;
  }
  close_socket();
  (void)reap(true);
  atomic_store(&server.over, true);
  return NULL;
}

/* ---- beginning and end --------------------------------------------------- */

static int open_socket(void)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int error = uj_place_find(server.path);
  if (error != 0)
    return error;
  server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (server.listener < 0)
    return -errno;
  _Static_assert(sizeof(address.sun_path) == UJ_PLACE_SIZE, "sun_path");
  memcpy(address.sun_path, server.path, sizeof(server.path));
  (void)unlink(server.path);
  (void)fchmod(server.listener, 0600);
  if (bind(server.listener, (struct sockaddr *)&address, sizeof(address)) ==
          0 &&
      chmod(server.path, 0600) == 0 && listen(server.listener, CLIENTS) == 0)
    return 0;
  error = -errno;
  close_socket();
  return error;
}

/* Under `life`. */
static void join(void)
{
  pthread_join(server.thread, NULL);
  close(server.stop);
  server.stop = -1;
  server.runs = false;
  server.stays = false;
}

static void stop(void)
{
  const uint64_t one = 1;
  if (!server.runs)
    return;
  (void)!write(server.stop, &one, sizeof(one));
  join();
}

static int start_listening(bool stays)
{
  int error;
  for (int i = 0; i < CLIENTS; i++)
    server.clients[i].fd = -1;
  server.stop = eventfd(0, EFD_CLOEXEC);
  if (server.stop < 0)
    return -errno;
  error = open_socket();
  if (error == 0) {
    atomic_store(&server.over, false);
    server.stays = stays;
    error = start_thread(&server.thread, listen_for_clients, NULL);
    if (error != 0)
      close_socket();
  }
  if (error != 0)
    close(server.stop);
  server.runs = error == 0;
  return error;
}

/* Under `life`. */
static int start(bool stays)
{
  if (server.runs && (atomic_load(&server.over) || (stays && !server.stays)))
    stop();
  return server.runs ? 0 : start_listening(stays);
}

/* The socket is the parent's, and so are the threads. */
static void forget(void)
{
  pthread_mutex_init(&server.life, NULL);
  for (int i = 0; server.runs && i < CLIENTS; i++)
    if (server.clients[i].fd >= 0)
      close(server.clients[i].fd);
  if (server.listener >= 0)
    close(server.listener);
  if (server.stop >= 0)
    close(server.stop);
  server.listener = server.stop = -1;
  server.runs = server.stays = false;
}

/* A process that exits in the middle of a run leaves no socket behind, either.
 */
static void leave(void)
{
  if (server.listener >= 0)
    (void)unlink(server.path);
}

static void init_once(void)
{
  pthread_atfork(NULL, NULL, forget);
  (void)atexit(leave);
}

static void begin_life(void)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, init_once);
  pthread_mutex_lock(&server.life);
}

static void end_life(void)
{
  pthread_mutex_unlock(&server.life);
}

void uj_server_open_if_called(void)
{
  if (!atomic_load_explicit(&server.called, memory_order_relaxed) ||
      !atomic_exchange(&server.called, false))
    return;
  begin_life();
  if (uj_loops_next(0) != 0)
    (void)start(false);
  end_life();
}

/* In the signal handler. A loop that sleeps opens the socket when it wakes up,
 * and the monitor does when a loop is busy. */
static void on_call(void)
{
  atomic_store(&server.called, true);
  uj_monitor_send(uj_server_open_if_called);
  uj_loops_wake();
}

bool uj_server_can_be(void)
{
  return true;
}

int uj_server_add(struct uj_inspected *loop, bool at_once)
{
  int error = uj_poke_hear(on_call);
  if (error != 0)
    return error;
  begin_life();
  (void)uj_loops_add(loop);
  if (at_once)
    error = start(true);
  end_life();
  if (error != 0)
    uj_server_remove(loop);
  return error;
}

void uj_server_remove(struct uj_inspected *loop)
{
  if (!loop->added)
    return;
  begin_life();
  if (uj_loops_remove(loop) == 0)
    stop();
  end_life();
  uj_poke_stop_hearing();
}

#else

bool uj_server_can_be(void)
{
  return false;
}

int uj_server_add(struct uj_inspected *loop, bool at_once)
{
  (void)loop;
  return at_once ? -ENOSYS : 0;
}

void uj_server_remove(struct uj_inspected *loop)
{
  (void)loop;
}

void uj_server_open_if_called(void) {}

#endif
