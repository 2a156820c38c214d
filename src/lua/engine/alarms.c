#include "lua/engine/alarms.h"

void uj_alarms_init(struct uj_state *S)
{
  for (int i = 0; i < UJ_ALARM_COUNT; i++)
    S->alarms->due_ns[i] = UJ_NEVER;
}

uint64_t uj_alarms_due(const struct uj_state *S)
{
  uint64_t due_ns = UJ_NEVER;
  for (int i = 0; i < UJ_ALARM_COUNT; i++)
    due_ns = uj_clock_min(due_ns, S->alarms->due_ns[i]);
  return due_ns;
}

void uj_alarms_rearm(struct uj_state *S)
{
  uj_loop_set_alarm(&S->loop, uj_alarms_due(S));
}

void uj_alarms_set(struct uj_state *S, enum uj_alarm alarm, uint64_t due_ns)
{
  if (S->alarms->due_ns[alarm] == due_ns)
    return;
  S->alarms->due_ns[alarm] = due_ns;
  uj_alarms_rearm(S);
}

bool uj_alarms_take(struct uj_state *S, enum uj_alarm alarm)
{
  if (S->alarms->due_ns[alarm] > uj_loop_now(&S->loop))
    return false;
  S->alarms->due_ns[alarm] = UJ_NEVER;
  return true;
}
