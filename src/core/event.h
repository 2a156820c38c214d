/* A flag that jobs wait for. While it is set nobody waits. */
#ifndef UJ_CORE_EVENT_H
#define UJ_CORE_EVENT_H

#include <stdbool.h>

#include "core/job.h"

struct uj_event {
  struct uj_waitq waiters;
  bool is_set;
};

static inline void uj_event_init(struct uj_event *event)
{
  uj_waitq_init(&event->waiters);
  event->is_set = false;
}

/* Sets the flag and wakes every waiter. */
static inline void uj_event_set(struct uj_event *event)
{
  event->is_set = true;
  uj_waitq_wake_all(&event->waiters);
}

static inline void uj_event_clear(struct uj_event *event)
{
  event->is_set = false;
}

#endif
