#include "lua/drive/outside.h"

#include "core/clock.h"
#include "loop/driver.h"
#include "lua/channel/hear.h"
#include "lua/drive/guests.h"
#include "lua/drive/pace.h"
#include "lua/engine/ending.h"
#include "lua/service/service.h"

void uj_outside_wait(struct uj_state *S, lua_State *L, uint64_t due_ns)
{
  int fd;
  due_ns = uj_clock_min(due_ns, uj_guests_due(S, L, &fd));
  uj_driver_watch(S->driver, UJ_GUEST_LUV, fd);
  if (uj_services_have_news(S)) /* a poll may have noted the wake */
    due_ns = 0;
  if (!uj_channels_sleep(S))
    due_ns = 0;
  uj_watch_sleep(&S->watch);
  uj_driver_wait(S->driver, due_ns);
  uj_watch_wake(&S->watch);
  uj_channels_wake_up(S);
}

uint64_t uj_outside_due(const struct uj_state *S, uint64_t due_ns)
{
  if (!S->ending->forces || due_ns == UJ_NEVER)
    return UJ_NEVER;
  return uj_clock_add(S->ending->real_ns,
                      due_ns - uj_clock_min(S->virtual_ns, due_ns));
}

void uj_outside_poll(struct uj_state *S)
{
  uint64_t ticks = uj_driver_ticks();
  if (ticks != 0 && ticks - S->pace->clock_ticks < UJ_POLL_TICKS)
    return;
  S->pace->clock_ticks = ticks;
  uj_driver_poll(S->driver);
}
