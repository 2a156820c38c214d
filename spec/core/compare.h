/* The core beside model.h: each job is in both, and every list, job and counter
 * is compared. */
#ifndef SPEC_CORE_COMPARE_H
#define SPEC_CORE_COMPARE_H

#include "check.h"

#include "core/event.h"
#include "core/mutex.h"
#include "core/semaphore.h"
#include "core/turn.h"
#include "model_things.h"
#include "model_turn.h"

/* The job of the core that belongs to the job of this index in the model. */
struct rjob {
  struct uj_job core;
  int index;
  uint64_t value;      /* the value that it puts, or got */
  struct rjob *zombie; /* the next one in `zombies` */
};

/* The core only counts the values of a queue: these are the values. */
struct rqueue {
  struct uj_queue core;
  int count;
  uint64_t value[VALUES];
};

static struct uj_loop loop;
static struct uj_sched sched[SCHEDS];
static struct uj_waitq queue[QUEUES];
static struct rjob *job[JOBS];
static struct uj_semaphore semaphore[THINGS];
static struct uj_mutex mutex[THINGS];
static struct uj_event event[THINGS];
static struct rqueue values[THINGS];
static uint64_t wakes; /* how often the core has woken the driver */

/* Jobs that have ended while another job might still have to close them. That
 * job has a pointer to them; in Lua it keeps them alive. */
static struct rjob *zombies;

/* A new job in both; NOBODY when there are too many. */
static inline int compare_new(int s)
{
  int j = model_new(s);
  if (j == NOBODY)
    return NOBODY;
  job[j] = malloc(sizeof *job[j]);
  if (job[j] == NULL)
    abort();
  memset(job[j], 0xdb, sizeof *job[j]);
  job[j]->index = j;
  job[j]->value = 0;
  uj_job_init(&job[j]->core, &sched[s]);
  return j;
}

/* Overwrites the job, so that its use is seen without ASan, too. */
static inline void compare_free(struct rjob *old)
{
  memset(old, 0xdb, sizeof *old);
  free(old);
}

/* A job that was not admitted. */
static inline void compare_discard(int j)
{
  m.job[j].used = false;
  compare_free(job[j]);
  job[j] = NULL;
}

static inline bool is_borrowed(const struct uj_job *core)
{
  for (int j = 0; j < JOBS; j++)
    if (job[j] != NULL && job[j]->core.on_abandon != UJ_ABANDON_NOTHING &&
        job[j]->core.op == UJ_OP_WAIT && job[j]->core.target == core)
      return true;
  return false;
}

static inline void compare_abandon(struct uj_job *core)
{
  struct uj_mutex *held;
  while ((held = uj_mutex_held(&loop, core)) != NULL)
    uj_mutex_unlock(held);
  CHECK_EQ(core->nlocks, 0);
}

/* The job has ended: checks that the model expects its end next. */
static inline void compare_end(struct uj_job *core)
{
  struct rjob *ended = uj_container(core, struct rjob, core);
  CHECK(m.nends > 0);
  CHECK_EQ(ended->index, m.end[0].job);
  CHECK_EQ(core->state, m.end[0].state);
  CHECK_EQ(core->cancel, m.job[ended->index].cancel);
  CHECK_EQ(core->place, UJ_AT_NONE);
  CHECK(uj_link_empty(&core->queue));
  CHECK(uj_link_empty(&core->member));
  CHECK(uj_waitq_empty(&core->waiters));
  CHECK(!uj_timer_armed(&core->timer));
  m.nends--;
  memmove(m.end, m.end + 1, (size_t)m.nends * sizeof m.end[0]);
  compare_abandon(core);
  job[ended->index] = NULL;
  if (is_borrowed(core)) {
    ended->zombie = zombies;
    zombies = ended;
  } else {
    compare_free(ended);
  }
}

static inline void compare_bury(void)
{
  while (zombies != NULL) {
    struct rjob *next = zombies->zombie;
    compare_free(zombies);
    zombies = next;
  }
}

static inline int index_of(struct uj_link *link, size_t offset)
{
  struct uj_job *core = (struct uj_job *)(void *)((char *)link - offset);
  return uj_container(core, struct rjob, core)->index;
}

static inline void compare_list(const struct list *list, struct uj_link *core,
                                size_t offset)
{
  struct uj_link *link = core->next;
  for (int i = 0; i < list->count; i++, link = link->next) {
    CHECK(link != core);
    if (link == core)
      return;
    CHECK_EQ(index_of(link, offset), list->job[i]);
  }
  CHECK(link == core);
}

#define QUEUE offsetof(struct uj_job, queue)
#define MEMBER offsetof(struct uj_job, member)

/* Core and model add up in different steps, so the last digits can differ. */
static inline bool is_close(double a, double b)
{
  double more = a > b ? a : b;
  double off = a > b ? a - b : b - a;
  return off <= more * 1e-9;
}

static inline void compare_totals(struct uj_sched *core,
                                  struct model_sched *model)
{
  for (int i = 0; i < UJ_SCHED_ENDS; i++)
    CHECK_EQ(core->ended[i], model->ended[i]);
  if (!core->timed)
    return;
  uj_sched_note_time(core);
  model_note_time(model);
  CHECK(is_close(core->waiting_ns, model->waiting_ns));
  CHECK(is_close(core->running_ns, model->running_ns));
}

static inline void compare_sched(int s)
{
  struct uj_sched *core = &sched[s];
  struct model_sched *model = &m.sched[s];
  CHECK_EQ(core->closed, model->closed);
  CHECK_EQ(core->nactive, count_active(model));
  CHECK_EQ(core->npending, model->pending.count);
  CHECK_EQ(core->nlive, count_live(model));
  CHECK(count_active(model) <= model->limit ||
        count_active(model) <= model->had_active);
  CHECK((uint64_t)model->pending.count <= model->pending_limit ||
        (uint64_t)model->pending.count <= model->had_pending);
  model->had_active = count_active(model);
  model->had_pending = (uint64_t)model->pending.count;
  CHECK_EQ(core->limit, model->limit);
  CHECK_EQ(core->pending_limit, model->pending_limit);
  CHECK_EQ(core->paused, model->paused);
  compare_totals(core, model);
  compare_list(&model->held, &core->held, QUEUE);
  compare_list(&model->jobs, &core->jobs, MEMBER);
  compare_list(&model->shields, &core->shields, MEMBER);
  compare_list(&model->pending, &core->pending, QUEUE);
  compare_list(&model->blocked, &core->blocked, QUEUE);
  compare_list(&model->idle, &core->idle.jobs, QUEUE);
  compare_list(&model->alone, &core->alone.jobs, QUEUE);
}

static inline void compare_job(int j)
{
  struct uj_job *core;
  const struct model_job *model = &m.job[j];
  CHECK_EQ(job[j] != NULL, model->used);
  if (job[j] == NULL)
    return;
  core = &job[j]->core;
  CHECK_EQ(core->state, model->state);
  CHECK_EQ(core->place, model->place);
  CHECK_EQ(core->started, model->started);
  CHECK_EQ(core->cancel, model->cancel);
  CHECK_EQ(core->deadline_ns, model->deadline_ns);
  CHECK_EQ(core->kill_ns, model->kill_ns);
  CHECK_EQ(core->on_abandon, model->on_abandon);
  CHECK_EQ(core->preemptions, model->preemptions);
  CHECK_EQ(core->nlocks, count_locks(j));
  CHECK_EQ(job[j]->value, model->value);
  if (model->place == UJ_AT_READY)
    CHECK_EQ(core->wake, model->wake);
  CHECK_EQ(uj_timer_armed(&core->timer),
           model->place == UJ_AT_WAIT && model->limit_ns != UJ_NEVER);
  if (uj_timer_armed(&core->timer)) {
    CHECK_EQ(core->timer_wake, model->timer_wake);
    CHECK_EQ(core->timer.due_ns, model->limit_ns);
  }
  compare_list(&model->waiters, &core->waiters.jobs, QUEUE);
}

static inline uint64_t count_ready(void)
{
  return (uint64_t)(m.ready.count + m.batch.count + m.preempted.count +
                    m.busy.count);
}

static inline void compare_queue(int i)
{
  const struct rqueue *queue_of = &values[i];
  const struct model_queue *model = &m.values[i];
  CHECK_EQ(queue_of->core.count, model->count);
  CHECK_EQ(queue_of->core.closed, model->closed);
  CHECK_EQ(queue_of->count, model->count);
  for (int k = 0; k < model->count && k < queue_of->count; k++)
    CHECK_EQ(queue_of->value[k], model->value[k]);
  compare_list(&model->getters, &values[i].core.getters.jobs, QUEUE);
  compare_list(&model->putters, &values[i].core.putters.jobs, QUEUE);
}

static inline void compare_mutex(int i)
{
  int owner = m.mutex[i].owner;
  CHECK(mutex[i].owner == (owner == NOBODY ? NULL : &job[owner]->core));
  CHECK_EQ(mutex[i].turn, m.mutex[i].turn);
  compare_list(&m.mutex[i].waiters, &mutex[i].waiters.jobs, QUEUE);
}

static inline void compare_things(void)
{
  const struct uj_link *link = loop.locked.next;
  for (int i = 0; i < THINGS; i++) {
    CHECK_EQ(semaphore[i].count, m.semaphore[i].count);
    compare_list(&m.semaphore[i].waiters, &semaphore[i].waiters.jobs, QUEUE);
    CHECK_EQ(event[i].is_set, m.event[i].is_set);
    compare_list(&m.event[i].waiters, &event[i].waiters.jobs, QUEUE);
    compare_mutex(i);
    compare_queue(i);
  }
  for (int i = 0; i < m.locked.count; i++, link = link->next)
    CHECK(link == &mutex[m.locked.job[i]].locked);
  CHECK(link == &loop.locked);
  model_check_things();
}

static inline void compare_loop(void)
{
  compare_list(&m.ready, &loop.ready, QUEUE);
  compare_list(&m.batch, &loop.batch, QUEUE);
  compare_list(&m.preempted, &loop.preempted, QUEUE);
  compare_list(&m.busy, &loop.busy, QUEUE);
  CHECK_EQ(uj_loop_count_ready(&loop), count_ready());
  CHECK_EQ(uj_loop_ready(&loop), count_ready() > 0);
  CHECK_EQ(loop.nabandoning,
           count_abandoning(&m.ready) + count_abandoning(&m.batch));
  CHECK_EQ((loop.heeds & UJ_HEED_ASLEEP) != 0, m.asleep);
  CHECK_EQ(wakes, m.wakes);
  CHECK_EQ(loop.spawned, m.spawned);
  CHECK_EQ(loop.turns, m.turns);
  CHECK_EQ(loop.preemptions, m.preemptions);
}

/* Ends the process at the first difference. */
static inline void compare(void)
{
  uj_loop_check(&loop);
  CHECK_EQ(m.nends, 0);
  for (int s = 0; s < SCHEDS; s++)
    compare_sched(s);
  for (int j = 0; j < JOBS; j++)
    compare_job(j);
  for (int q = 0; q < QUEUES; q++)
    compare_list(&m.queue[q], &queue[q].jobs, QUEUE);
  compare_loop();
  compare_things();
  if (check_failures != 0) {
    fflush(stdout);
    abort();
  }
}

#endif
