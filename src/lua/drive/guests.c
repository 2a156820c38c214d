#include "lua/drive/guests.h"

#include "loop/driver.h"
#include "lua/drive/cqueues.h"
#include "lua/drive/luv.h"

void uj_guests_find(struct uj_state *S, lua_State *L)
{
  uj_luv_find(S, L);
}

void uj_guests_run(struct uj_state *S, lua_State *L)
{
  (void)uj_driver_take_readable(S->driver,
                                UJ_GUEST_LUV); /* this run deals with it */
  if (uj_luv_alive(S, L))
    uj_luv_run(S, L);
  uj_cqueues_step(S, L);
}

void uj_guests_run_seen(struct uj_state *S, lua_State *L)
{
  if (S->luv->is_driven && uj_driver_take_readable(S->driver, UJ_GUEST_LUV))
    uj_luv_run(S, L);
  uj_cqueues_step(S, L);
}

bool uj_guests_alive(struct uj_state *S, lua_State *L)
{
  bool luv = uj_luv_alive(S, L);
  return luv || S->cqueues->threads > 0;
}

uint64_t uj_guests_due(struct uj_state *S, lua_State *L, int *fd)
{
  uint64_t due_ns = uj_luv_due(S, L, fd);
  if (S->cqueues->threads > 0)
    due_ns = uj_clock_min(due_ns, S->cqueues->due_ns);
  return due_ns;
}

void uj_guests_update_time(struct uj_state *S, lua_State *L)
{
  uj_luv_update_time(S, L);
}

void uj_guests_finish(struct uj_state *S, lua_State *L)
{
  int fd;
  uj_guests_find(S, L);
  if (uj_luv_alive(S, L) && uj_luv_due(S, L, &fd) <= uj_driver_now())
    uj_luv_run(S, L);
}
