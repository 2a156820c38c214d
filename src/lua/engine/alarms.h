/* The alarm of the loop, for several parts: the core has one only, and each of
 * these has times of its own. The loop's is set to the first of them. */
#ifndef UJ_LUA_ENGINE_ALARMS_H
#define UJ_LUA_ENGINE_ALARMS_H

#include <stdbool.h>
#include <stdint.h>

#include "lua/state/state.h"

enum uj_alarm { UJ_ALARM_REPEATING, UJ_ALARM_RATES, UJ_ALARM_COUNT };

struct uj_alarms {
  uint64_t due_ns[UJ_ALARM_COUNT]; /* UJ_NEVER where none is set */
};

void uj_alarms_init(struct uj_state *S);

/* Sets the alarm of a part, in place of the time that was set before; UJ_NEVER
 * for none. */
void uj_alarms_set(struct uj_state *S, enum uj_alarm alarm, uint64_t due_ns);

/* The loop's alarm has gone off. Whether that of a part is due, which is not
 * set any more then. */
bool uj_alarms_take(struct uj_state *S, enum uj_alarm alarm);

/* When the first of them goes off; UJ_NEVER when none is set. */
uint64_t uj_alarms_due(const struct uj_state *S);

/* Sets the loop's alarm again, when those that were due have been taken. */
void uj_alarms_rearm(struct uj_state *S);

#endif
