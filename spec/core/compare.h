/* The core beside model.h: each job is in both, and every list, job and counter
 * is compared. */
#ifndef SPEC_CORE_COMPARE_H
#define SPEC_CORE_COMPARE_H

#include "check.h"

#include "core/loop.h"
#include "model.h"

/* What the core has for the job of this index in the model. */
struct rjob {
  struct uj_job core;
  int index;
};

static struct uj_loop loop;
static struct uj_sched sched[SCHEDS];
static struct uj_waitq queue[QUEUES];
static struct rjob *job[JOBS];

/* A new job in both; NOBODY when there are too many. */
static inline int compare_new(int s)
{
  int j = model_new(s);
  if (j == NOBODY)
    return NOBODY;
  job[j] = malloc(sizeof *job[j]);
  if (job[j] == NULL)
    abort();
  job[j]->index = j;
  uj_job_init(&job[j]->core, &sched[s]);
  return j;
}

/* A job that was not admitted. */
static inline void compare_discard(int j)
{
  m.job[j].used = false;
  free(job[j]);
  job[j] = NULL;
}

/* The job ended, as the next one that the model foretold. */
static inline void compare_end(struct uj_job *core)
{
  struct rjob *ended = uj_container(core, struct rjob, core);
  CHECK(m.nends > 0);
  CHECK_EQ(ended->index, m.end[0].job);
  CHECK_EQ(core->state, m.end[0].state);
  CHECK_EQ(core->cancel, m.job[ended->index].cancel);
  m.nends--;
  memmove(m.end, m.end + 1, (size_t)m.nends * sizeof m.end[0]);
  job[ended->index] = NULL;
  free(ended);
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

static inline void compare_sched(int s)
{
  struct uj_sched *core = &sched[s];
  const struct model_sched *model = &m.sched[s];
  CHECK_EQ(core->closed, model->closed);
  CHECK_EQ(core->nactive, count_active(model));
  CHECK_EQ(core->npending, model->pending.count);
  CHECK_EQ(core->nlive, count_live(model));
  CHECK(count_active(model) <= model->limit);
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
  if (model->place == UJ_AT_READY)
    CHECK_EQ(core->wake, model->wake);
  CHECK_EQ(uj_timer_armed(&core->timer),
           model->place == UJ_AT_WAIT && model->limit_ns != UJ_NEVER);
  if (uj_timer_armed(&core->timer)) {
    CHECK_EQ(core->limit, model->limit);
    CHECK_EQ(core->timer.due_ns, model->limit_ns);
  }
  compare_list(&model->waiters, &core->waiters.jobs, QUEUE);
}

static inline uint64_t count_ready(void)
{
  return (uint64_t)(m.ready.count + m.batch.count + m.preempted.count +
                    m.busy.count);
}

/* Ends the test at the first difference. */
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
  compare_list(&m.ready, &loop.ready, QUEUE);
  compare_list(&m.batch, &loop.batch, QUEUE);
  compare_list(&m.preempted, &loop.preempted, QUEUE);
  compare_list(&m.busy, &loop.busy, QUEUE);
  CHECK_EQ(uj_loop_count_ready(&loop), count_ready());
  CHECK_EQ(uj_loop_ready(&loop), count_ready() > 0);
  if (check_failures != 0)
    exit(1);
}

#endif
