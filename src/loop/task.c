#include "loop/task.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

#include "loop/poke.h"

/* Owned by the tasks from its beginning until it was joined. */
struct thread {
  struct uj_link link; /* in uj_tasks::threads, or ::leaving */
  struct uj_tasks *tasks;
  struct uj_task *volatile running; /* read by its signal handler; or NULL */
  struct uj_poke poke;
  uv_thread_t id;
};

/* Everything but `wake` is under the lock. */
struct uj_tasks {
  uv_mutex_t lock;
  uv_cond_t work;  /* there is something to do for a thread */
  uv_cond_t heard; /* there is room for what tasks say; a task is stopped;
                or a thread leaves */
  void (*wake)(
      void *arg); /* wakes the loop: tasks have ended, or said something */
  void *arg;
  struct uj_link queued; /* of uj_task::link, and so are the next two */
  struct uj_link running;
  struct uj_link ended;
  struct uj_link saying;  /* of uj_task::saying */
  struct uj_link threads; /* of thread::link */
  struct uj_link leaving; /* of thread::link: they end, and are to be joined */
  unsigned nthreads, nidle, nqueued, limit;
  _Atomic uint64_t count;  /* started and not taken */
  _Atomic uint64_t nended; /* in `ended` */
  _Atomic bool says;       /* `saying` is not empty */
  bool quits;
};

/* ---- lists --------------------------------------------------------------- */

static void move(struct uj_task *task, struct uj_link *list,
                 enum uj_task_place place)
{
  uj_link_remove(&task->link);
  uj_link_append(list, &task->link);
  task->place = place;
}

static struct uj_task *first_of(struct uj_link *list)
{
  return uj_link_empty(list) ? NULL
                             : uj_container(list->next, struct uj_task, link);
}

/* The task has run, or does not begin any more. */
static void end_task(struct uj_tasks *self, struct uj_task *task)
{
  move(task, &self->ended, UJ_TASK_ENDED);
  task->thread = NULL;
  atomic_fetch_add(&self->nended, 1);
  self->wake(self->arg);
}

/* ---- a thread ------------------------------------------------------------ */

/* Runs in the signal handler. */
static void interrupt(void *arg)
{
  struct thread *thread = arg;
  struct uj_task *task = thread->running;
  if (task != NULL)
    task->interrupt(task);
}

/* The lock is held, but not while the task runs. */
static void run_task(struct thread *thread, struct uj_task *task)
{
  struct uj_tasks *self = thread->tasks;
  self->nqueued--;
  move(task, &self->running, UJ_TASK_RUNNING);
  task->thread = thread;
  thread->running = task;
  uv_mutex_unlock(&self->lock);
  task->run(task);
  thread->running = NULL;
  uv_mutex_lock(&self->lock);
  end_task(self, task);
}

static bool must_leave(const struct uj_tasks *self)
{
  return self->quits || self->nthreads > self->limit;
}

static void run_thread(void *arg)
{
  struct thread *self = arg;
  struct uj_tasks *tasks = self->tasks;
  (void)uj_poke_add(&self->poke); /* fails for a wrong signal only */
  uv_mutex_lock(&tasks->lock);
  while (!must_leave(tasks)) {
    struct uj_task *task = first_of(&tasks->queued);
    if (task != NULL) {
      run_task(self, task);
      continue;
    }
    tasks->nidle++;
    uv_cond_wait(&tasks->work, &tasks->lock);
    tasks->nidle--;
  }
  tasks->nthreads--;
  uj_link_remove(&self->link);
  uj_link_append(&tasks->leaving, &self->link);
  uv_cond_broadcast(&tasks->heard);
  uv_mutex_unlock(&tasks->lock);
  uj_poke_remove(&self->poke);
}

/* The lock is held. Returns 0 or a negative error. */
static int add_thread(struct uj_tasks *self)
{
  struct thread *thread = calloc(1, sizeof(*thread));
  int error = thread == NULL ? UV_ENOMEM : 0;
  if (error == 0) {
    thread->tasks = self;
    thread->poke.interrupt = interrupt;
    thread->poke.arg = thread;
    thread->poke.signal = uj_poke_signal();
    error = uv_thread_create(&thread->id, run_thread, thread);
  }
  if (error != 0) {
    free(thread);
    return error;
  }
  self->nthreads++;
  uj_link_init(&thread->link);
  uj_link_append(&self->threads, &thread->link);
  return 0;
}

/* Waits for the threads that are leaving, which hold no lock any more. */
static void join_leaving(struct uj_tasks *self)
{
  uv_mutex_lock(&self->lock);
  while (!uj_link_empty(&self->leaving)) {
    struct thread *thread =
        uj_container(self->leaving.next, struct thread, link);
    uj_link_remove(&thread->link);
    uv_mutex_unlock(&self->lock);
    uv_thread_join(&thread->id);
    free(thread);
    uv_mutex_lock(&self->lock);
  }
  uv_mutex_unlock(&self->lock);
}

/* ---- beginning and end --------------------------------------------------- */

static int init_lock(struct uj_tasks *self)
{
  int error = uv_mutex_init(&self->lock);
  if (error != 0)
    return error;
  error = uv_cond_init(&self->work);
  if (error == 0) {
    error = uv_cond_init(&self->heard);
    if (error != 0)
      uv_cond_destroy(&self->work);
  }
  if (error != 0)
    uv_mutex_destroy(&self->lock);
  return error;
}

static void term_lock(struct uj_tasks *self)
{
  uv_cond_destroy(&self->heard);
  uv_cond_destroy(&self->work);
  uv_mutex_destroy(&self->lock);
}

struct uj_tasks *uj_tasks_new(void (*wake)(void *arg), void *arg)
{
  struct uj_tasks *self = calloc(1, sizeof(*self));
  if (self == NULL || init_lock(self) != 0) {
    free(self);
    return NULL;
  }
  self->wake = wake;
  self->arg = arg;
  uj_link_init(&self->queued);
  uj_link_init(&self->running);
  uj_link_init(&self->ended);
  uj_link_init(&self->saying);
  uj_link_init(&self->threads);
  uj_link_init(&self->leaving);
  uj_tasks_set_limit(self, UJ_TASKS_DEFAULT);
  return self;
}

void uj_tasks_free(struct uj_tasks *self)
{
  assert(uj_tasks_count(self) == 0);
  uv_mutex_lock(&self->lock);
  self->quits = true;
  uv_cond_broadcast(&self->work);
  while (self->nthreads > 0) /* each says that it leaves */
    uv_cond_wait(&self->heard, &self->lock);
  uv_mutex_unlock(&self->lock);
  join_leaving(self);
  term_lock(self);
  free(self);
}

static void free_threads(struct uj_link *list)
{
  struct uj_link *link = list->next, *next;
  for (; link != list; link = next) {
    next = link->next;
    free(uj_container(link, struct thread, link));
  }
  uj_link_init(list);
}

/* Starts the threads that are missing for what is queued. The lock is held. The
 * number is computed first, because a new thread counts as idle only later. */
static void add_missing_threads(struct uj_tasks *self)
{
  unsigned missing =
      self->nqueued > self->nidle ? self->nqueued - self->nidle : 0;
  while (missing-- > 0 && self->nthreads < self->limit && add_thread(self) == 0)
    ;
}

/* The lock is made anew, because another thread, which is not here, may have
 * held it at the fork. What was queued runs in both processes. */
void uj_tasks_forget_threads(struct uj_tasks *self)
{
  struct uj_task *task;
  (void)init_lock(self);
  free_threads(&self->threads);
  free_threads(&self->leaving);
  self->nthreads = self->nidle = 0;
  while ((task = first_of(&self->running)) != NULL) {
    task->lost = true;
    end_task(self, task);
  }
  uv_mutex_lock(&self->lock);
  add_missing_threads(self);
  uv_mutex_unlock(&self->lock);
}

unsigned uj_tasks_count_processors(void)
{
  return uv_available_parallelism();
}

void uj_tasks_set_limit(struct uj_tasks *self, unsigned limit)
{
  unsigned processors = uj_tasks_count_processors();
  uv_mutex_lock(&self->lock);
  if (limit == UJ_TASKS_DEFAULT)
    limit = processors > 2 ? processors : 2;
  self->limit = limit;
  add_missing_threads(self);
  uv_cond_broadcast(&self->work);
  uv_mutex_unlock(&self->lock);
  join_leaving(self);
}

/* ---- tasks --------------------------------------------------------------- */

uint64_t uj_tasks_count(const struct uj_tasks *self)
{
  return self->count;
}

bool uj_tasks_have_news(const struct uj_tasks *self)
{
  return self->nended > 0 || self->says;
}

struct uj_task *uj_tasks_take_ended(struct uj_tasks *self)
{
  struct uj_task *task;
  if (self->nended == 0)
    return NULL;
  uv_mutex_lock(&self->lock);
  task = first_of(&self->ended);
  if (task != NULL) {
    uj_link_remove(&task->link);
    uj_link_remove(&task->saying);
    task->place = UJ_TASK_NOWHERE;
    atomic_fetch_sub(&self->nended, 1);
    atomic_fetch_sub(&self->count, 1);
  }
  uv_mutex_unlock(&self->lock);
  return task;
}

/* Whether one more task would have to wait although a thread may be added. */
static bool needs_thread(const struct uj_tasks *self)
{
  return self->nqueued >= self->nidle && self->nthreads < self->limit;
}

int uj_task_start(struct uj_tasks *self, struct uj_task *task)
{
  int error = 0;
  uv_mutex_lock(&self->lock);
  if (needs_thread(self))
    error = add_thread(self);
  if (self->nthreads > 0) { /* without a new thread it waits for another */
    error = 0;
    atomic_init(&task->stop, false);
    task->lost = false;
    uj_link_init(&task->link);
    uj_link_init(&task->saying);
    uj_link_init(&task->said);
    task->nsaid = 0;
    move(task, &self->queued, UJ_TASK_QUEUED);
    self->nqueued++;
    atomic_fetch_add(&self->count, 1);
    uv_cond_signal(&self->work);
  }
  uv_mutex_unlock(&self->lock);
  return error;
}

/* The lock is held. */
static void stop_task(struct uj_tasks *self, struct uj_task *task)
{
  atomic_store(&task->stop, true);
  if (task->place == UJ_TASK_QUEUED) {
    self->nqueued--;
    end_task(self, task);
  } else if (task->place == UJ_TASK_RUNNING) {
    uj_poke_send(&((struct thread *)task->thread)->poke);
    uv_cond_broadcast(&self->heard);
  }
}

void uj_task_stop(struct uj_tasks *self, struct uj_task *task)
{
  uv_mutex_lock(&self->lock);
  stop_task(self, task);
  uv_mutex_unlock(&self->lock);
}

void uj_tasks_stop(struct uj_tasks *self)
{
  struct uj_link *link;
  struct uj_task *task;
  uv_mutex_lock(&self->lock);
  while ((task = first_of(&self->queued)) != NULL)
    stop_task(self, task);
  for (link = self->running.next; link != &self->running; link = link->next)
    stop_task(self, uj_container(link, struct uj_task, link));
  uv_mutex_unlock(&self->lock);
}

/* ---- what tasks say ------------------------------------------------------ */

bool uj_task_say(struct uj_task *task, struct uj_saying *saying)
{
  struct uj_tasks *self = ((struct thread *)task->thread)->tasks;
  bool stopped;
  uv_mutex_lock(&self->lock);
  while (task->nsaid >= UJ_TASK_MOST_SAID && !uj_task_stopped(task))
    uv_cond_wait(&self->heard, &self->lock);
  stopped = uj_task_stopped(task);
  if (!stopped) {
    uj_link_append(&task->said, &saying->link);
    task->nsaid++;
    if (uj_link_empty(&task->saying))
      uj_link_append(&self->saying, &task->saying);
    self->says = true;
    self->wake(self->arg);
  }
  uv_mutex_unlock(&self->lock);
  return !stopped;
}

struct uj_task *uj_tasks_take_saying(struct uj_tasks *self)
{
  struct uj_task *task = NULL;
  if (!self->says)
    return NULL;
  uv_mutex_lock(&self->lock);
  if (!uj_link_empty(&self->saying)) {
    task = uj_container(self->saying.next, struct uj_task, saying);
    uj_link_remove(&task->saying);
  }
  self->says = !uj_link_empty(&self->saying);
  uv_mutex_unlock(&self->lock);
  return task;
}

struct uj_saying *uj_task_take_said(struct uj_tasks *self, struct uj_task *task)
{
  struct uj_link *link;
  uv_mutex_lock(&self->lock);
  link = task->said.next;
  if (link != &task->said) {
    uj_link_remove(link);
    task->nsaid--;
    uv_cond_broadcast(&self->heard);
  }
  uv_mutex_unlock(&self->lock);
  return link == &task->said ? NULL
                             : uj_container(link, struct uj_saying, link);
}
