#include "core/loop.h"

void uj_loop_init(struct uj_loop *loop, const struct uj_host *host)
{
  loop->host = host;
  uj_link_init(&loop->ready);
  uj_link_init(&loop->batch);
  uj_link_init(&loop->preempted);
  uj_link_init(&loop->busy);
  uj_link_init(&loop->scheds);
  loop->nscheds = 0;
  loop->covered = NULL;
  uj_link_init(&loop->locked);
  loop->last_id = 0;
  loop->nabandoning = 0;
  loop->spawned = 0;
  loop->turns = 0;
  loop->preemptions = 0;
  loop->covers = 0;
  loop->latest_ns = UJ_NEVER;
  loop->seed = 0;
  loop->shuffles = false;
  loop->busy_next = false;
  loop->heeds = 0;
  uj_timers_init(&loop->timers, host->now(loop));
  uj_timer_init(&loop->alarm);
  uj_timer_init(&loop->bell);
  loop->bells = (struct uj_pqueue){NULL, 0};
}

static void wake_driver(struct uj_loop *loop)
{
  if (!(loop->heeds & UJ_HEED_ASLEEP))
    return;
  uj_loop_set_asleep(loop, false);
  loop->host->wake(loop);
}

void uj_loop_heed(struct uj_loop *loop, struct uj_job *job)
{
  wake_driver(loop);
  if (loop->heeds & UJ_HEED_READY)
    loop->host->ready(loop, job);
}

static void set_timer(struct uj_loop *loop, struct uj_timer *timer,
                      uint64_t due_ns)
{
  uj_timers_remove(&loop->timers, timer);
  if (due_ns == UJ_NEVER)
    return;
  uj_timers_add(&loop->timers, timer, due_ns);
  wake_driver(loop);
}

void uj_loop_set_alarm(struct uj_loop *loop, uint64_t due_ns)
{
  set_timer(loop, &loop->alarm, due_ns);
}

void uj_loop_set_bell(struct uj_loop *loop)
{
  const struct uj_pnode *first = loop->bells.first;
  uint64_t due_ns = first != NULL ? first->value : UJ_NEVER;
  if (uj_timer_armed(&loop->bell) ? loop->bell.due_ns == due_ns
                                  : due_ns == UJ_NEVER)
    return;
  set_timer(loop, &loop->bell, due_ns);
}

void uj_loop_add_bell(struct uj_loop *loop, struct uj_pnode *bell,
                      uint64_t due_ns)
{
  uj_pqueue_add(&loop->bells, bell, due_ns);
  uj_loop_set_bell(loop);
}

void uj_loop_remove_bell(struct uj_loop *loop, struct uj_pnode *bell)
{
  uj_pqueue_remove(&loop->bells, bell);
  uj_loop_set_bell(loop);
}

uint64_t uj_loop_due(struct uj_loop *loop)
{
  return uj_loop_ready(loop) ? 0 : uj_timers_due(&loop->timers);
}
