#include "loop/service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/driver.h"

struct uj_service {
  pthread_mutex_t lock;    /* of the queues, of `sleeps` and of `inner` */
  struct uj_link requests; /* of uj_message::link, and so is the next */
  struct uj_link answers;
  bool sleeps;              /* the thread waits, or is about to */
  atomic_bool has_requests; /* `requests` is not empty */
  atomic_bool has_answers;  /* `answers` is not empty */
  atomic_bool ends;         /* the thread is to end */
  int wake[2];              /* a pipe: a byte ends the wait of the thread */
  pid_t pid;                /* of the process that has the thread */
  struct uj_driver *driver; /* borrowed: it is woken for answers */
  struct uj_driver *inner;  /* borrowed from the thread: it is woken for
                               requests; or NULL */
  void (*run)(struct uj_service *service, void *arg);
  void *arg;
  pthread_t thread;
};

/* ---- messages ------------------------------------------------------------ */

struct uj_message *uj_message_new(uint64_t id, char *data, size_t size)
{
  struct uj_message *self = malloc(sizeof(*self));
  if (self == NULL)
    return NULL;
  uj_link_init(&self->link);
  self->id = id;
  self->data = data;
  self->size = size;
  self->carried = 0;
  self->drop = NULL;
  return self;
}

void uj_message_free(struct uj_message *self)
{
  if (self == NULL)
    return;
  if (self->drop != NULL)
    self->drop(self->data, self->carried);
  free(self->data);
  free(self);
}

static struct uj_message *first_of(struct uj_link *queue)
{
  return uj_link_empty(queue)
             ? NULL
             : uj_container(queue->next, struct uj_message, link);
}

static void put(struct uj_link *queue, struct uj_message *message,
                atomic_bool *has)
{
  uj_link_append(queue, &message->link);
  atomic_store(has, true);
}

/* The lock is not held. */
static struct uj_message *take(struct uj_service *self, struct uj_link *queue,
                               atomic_bool *has)
{
  struct uj_message *message;
  if (!atomic_load(has))
    return NULL;
  pthread_mutex_lock(&self->lock);
  message = first_of(queue);
  if (message != NULL)
    uj_link_remove(&message->link);
  atomic_store(has, !uj_link_empty(queue));
  pthread_mutex_unlock(&self->lock);
  return message;
}

static void free_queue(struct uj_link *queue)
{
  struct uj_link *link = queue->next, *next;
  for (; link != queue; link = next) {
    next = link->next;
    uj_message_free(uj_container(link, struct uj_message, link));
  }
  uj_link_init(queue);
}

/* ---- beginning and end --------------------------------------------------- */

static void *run_thread(void *arg)
{
  struct uj_service *self = arg;
  self->run(self, self->arg);
  return NULL;
}

static bool make_pipe(int fds[2])
{
  if (pipe(fds) != 0)
    return false;
  for (int i = 0; i < 2; i++) {
    (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    (void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
  }
  return true;
}

static void free_service(struct uj_service *self)
{
  free_queue(&self->requests);
  free_queue(&self->answers);
  close(self->wake[0]);
  close(self->wake[1]);
  free(self);
}

/* Signals are for the thread of the loop. */
static int start_thread(struct uj_service *self)
{
  sigset_t all, before;
  int error;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(&self->thread, NULL, run_thread, self);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

int uj_service_start(struct uj_service **service, struct uj_driver *driver,
                     void (*run)(struct uj_service *service, void *arg),
                     void *arg)
{
  struct uj_service *self = calloc(1, sizeof(*self));
  int error = 0;
  if (self == NULL)
    return -ENOMEM;
  if (!make_pipe(self->wake)) {
    error = errno;
    free(self);
    return -error;
  }
  uj_link_init(&self->requests);
  uj_link_init(&self->answers);
  self->driver = driver;
  self->run = run;
  self->arg = arg;
  self->pid = getpid();
  error = pthread_mutex_init(&self->lock, NULL);
  if (error == 0)
    error = start_thread(self);
  if (error != 0)
    free_service(self);
  else
    *service = self;
  return -error;
}

/* Wakes the thread if it sleeps, and lets go of the lock. While that is held,
 * the thread keeps its driver; but one that is woken by a byte would only wait
 * for the lock, so it is let go before. */
static void wake_and_unlock(struct uj_service *self)
{
  ssize_t written = 0;
  bool sleeps = self->sleeps && self->inner == NULL;
  self->sleeps = false; /* one byte is enough */
  if (self->inner != NULL)
    uj_driver_wake(self->inner);
  pthread_mutex_unlock(&self->lock);
  if (sleeps)
    written = write(self->wake[1], "", 1); /* a full pipe wakes, too */
  (void)written;
}

bool uj_service_is_here(const struct uj_service *self)
{
  return self->pid == getpid();
}

void uj_service_finish(struct uj_service *self)
{
  pthread_mutex_lock(&self->lock);
  atomic_store(&self->ends, true);
  wake_and_unlock(self);
}

void uj_service_end(struct uj_service *self)
{
  if (uj_service_is_here(self)) {
    uj_service_finish(self);
    pthread_join(self->thread, NULL);
    pthread_mutex_destroy(&self->lock);
  }
  free_service(self);
}

/* ---- in the thread of the loop ------------------------------------------- */

void uj_service_send(struct uj_service *self, struct uj_message *request)
{
  pthread_mutex_lock(&self->lock);
  put(&self->requests, request, &self->has_requests);
  wake_and_unlock(self);
}

struct uj_message *uj_service_withdraw(struct uj_service *self, uint64_t id)
{
  struct uj_message *found = NULL;
  struct uj_link *link;
  pthread_mutex_lock(&self->lock);
  for (link = self->requests.next; link != &self->requests && found == NULL;
       link = link->next)
    if (uj_container(link, struct uj_message, link)->id == id)
      found = uj_container(link, struct uj_message, link);
  if (found != NULL)
    uj_link_remove(&found->link);
  atomic_store(&self->has_requests, !uj_link_empty(&self->requests));
  pthread_mutex_unlock(&self->lock);
  return found;
}

bool uj_service_has_answer(const struct uj_service *self)
{
  return atomic_load(&self->has_answers);
}

struct uj_message *uj_service_take_answer(struct uj_service *self)
{
  return take(self, &self->answers, &self->has_answers);
}

/* ---- in the thread of the service ---------------------------------------- */

/* Whether the thread may sleep; then a request that comes sends a byte. */
static bool fall_asleep(struct uj_service *self)
{
  bool may;
  pthread_mutex_lock(&self->lock);
  may = uj_link_empty(&self->requests) && !uj_service_ends(self);
  self->sleeps = may;
  pthread_mutex_unlock(&self->lock);
  return may;
}

static void wake_up(struct uj_service *self)
{
  char bytes[16];
  ssize_t size;
  pthread_mutex_lock(&self->lock);
  self->sleeps = false;
  pthread_mutex_unlock(&self->lock);
  do /* there is seldom more than one */
    size = read(self->wake[0], bytes, sizeof(bytes));
  while (size == (ssize_t)sizeof(bytes));
}

bool uj_service_wait(struct uj_service *self, int fd, int timeout_ms)
{
  struct pollfd polled[2] = {{.fd = self->wake[0], .events = POLLIN},
                             {.fd = fd, .events = POLLIN}};
  bool sleeps = fall_asleep(self);
  int n = poll(polled, fd < 0 ? 1 : 2, sleeps ? timeout_ms : 0);
  if (sleeps)
    wake_up(self);
  return n > 0 && fd >= 0 && polled[1].revents != 0;
}

void uj_service_wake_driver(struct uj_service *self, struct uj_driver *driver)
{
  pthread_mutex_lock(&self->lock);
  self->inner = driver;
  if (driver != NULL)
    uj_driver_wake(driver); /* for what has come before */
  pthread_mutex_unlock(&self->lock);
}

bool uj_service_has_request(const struct uj_service *self)
{
  return atomic_load(&self->has_requests);
}

struct uj_message *uj_service_receive(struct uj_service *self)
{
  return take(self, &self->requests, &self->has_requests);
}

void uj_service_answer(struct uj_service *self, struct uj_message *answer)
{
  pthread_mutex_lock(&self->lock);
  put(&self->answers, answer, &self->has_answers);
  pthread_mutex_unlock(&self->lock);
  uj_driver_wake(self->driver); /* costs little when it was woken already */
}

bool uj_service_ends(const struct uj_service *self)
{
  return atomic_load(&self->ends);
}
