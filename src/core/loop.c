#include "core/loop.h"

void uj_loop_init(struct uj_loop *loop, const struct uj_host *host)
{
  loop->host = host;
  uj_link_init(&loop->ready);
  uj_link_init(&loop->batch);
  uj_link_init(&loop->preempted);
  uj_link_init(&loop->busy);
  uj_link_init(&loop->scheds);
  uj_link_init(&loop->locked);
  loop->last_id = 0;
  loop->nabandoning = 0;
  loop->spawned = 0;
  loop->turns = 0;
  loop->preemptions = 0;
  loop->latest_ns = UJ_NEVER;
  loop->seed = 0;
  loop->shuffles = false;
  loop->busy_next = false;
  loop->asleep = false;
  uj_timers_init(&loop->timers, host->now(loop));
  uj_timer_init(&loop->alarm);
}

void uj_loop_set_alarm(struct uj_loop *loop, uint64_t due_ns)
{
  uj_timers_remove(&loop->timers, &loop->alarm);
  if (due_ns == UJ_NEVER)
    return;
  uj_timers_add(&loop->timers, &loop->alarm, due_ns);
  if (loop->asleep) {
    loop->asleep = false;
    loop->host->wake(loop);
  }
}

uint64_t uj_loop_due(struct uj_loop *loop)
{
  return uj_loop_ready(loop) ? 0 : uj_timers_due(&loop->timers);
}
