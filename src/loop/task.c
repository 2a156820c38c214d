#include "loop/task.h"

#include <stdlib.h>
#include <uv.h>

/* What libuv has of a task, from its start to its end. */
struct request {
  uv_work_t uv;
  struct uj_task *task;
  struct uj_tasks *tasks;
};

/* A process that exits without closing its Lua states waits, in a destructor of
 * libuv, until the pool has done all that is queued. So tasks are stopped then.
 */
static atomic_bool exiting;

__attribute__((destructor)) static void stop_at_exit(void)
{
  atomic_store(&exiting, true);
}

void uj_tasks_init(struct uj_tasks *tasks, void *loop)
{
  tasks->loop = loop;
  uj_link_init(&tasks->started);
  uj_link_init(&tasks->ended);
  tasks->count = 0;
}

void uj_tasks_stop(struct uj_tasks *tasks)
{
  struct uj_link *link = tasks->started.next;
  for (; link != &tasks->started; link = link->next)
    uj_task_stop(uj_container(link, struct uj_task, link));
}

/* Runs in a thread of the pool. */
static void on_work(uv_work_t *work)
{
  struct uj_task *task = ((struct request *)work->data)->task;
  if (!uj_task_stopped(task))
    task->run(task);
}

/* Runs in uv_run(). */
static void on_done(uv_work_t *work, int status)
{
  struct request *request = work->data;
  struct uj_task *task = request->task;
  (void)status;
  task->request = NULL;
  uj_link_remove(&task->link);
  uj_link_append(&request->tasks->ended, &task->link);
  request->tasks->count--;
  free(request);
}

int uj_task_start(struct uj_tasks *tasks, struct uj_task *task)
{
  struct request *request = calloc(1, sizeof(*request));
  int error;
  if (request == NULL)
    return UV_ENOMEM;
  request->task = task;
  request->tasks = tasks;
  request->uv.data = request;
  atomic_init(&task->stop, false);
  error = uv_queue_work(tasks->loop, &request->uv, on_work, on_done);
  if (error != 0) {
    free(request);
    return error;
  }
  task->request = request;
  uj_link_append(&tasks->started, &task->link);
  tasks->count++;
  return 0;
}

void uj_task_stop(struct uj_task *task)
{
  struct request *request = task->request;
  atomic_store(&task->stop, true);
  if (request != NULL) /* fails if the task already runs, which is fine */
    (void)uv_cancel((uv_req_t *)&request->uv);
}

bool uj_task_stopped(struct uj_task *task)
{
  return atomic_load_explicit(&task->stop, memory_order_relaxed) ||
         atomic_load_explicit(&exiting, memory_order_relaxed);
}

struct uj_task *uj_tasks_take_ended(struct uj_tasks *tasks)
{
  struct uj_link *link = tasks->ended.next;
  if (link == &tasks->ended)
    return NULL;
  uj_link_remove(link);
  return uj_container(link, struct uj_task, link);
}
