#include "lua/service/crew.h"

#include "loop/driver.h"
#include "lua/api/date.h"
#include "lua/channel/hear.h"
#include "lua/engine/ending.h"
#include "lua/service/service.h"
#include "random/random.h"

/* ---- the host ------------------------------------------------------------ */

static bool has_news(void *arg)
{
  const struct uj_state *S = arg;
  return uj_services_have_news(S) || uj_channels_have_news(S);
}

static void wake(void *arg)
{
  uj_driver_wake(((struct uj_state *)arg)->driver);
}

static bool has_no_news(void *arg)
{
  (void)arg;
  return false;
}

void uj_lcrew_begin(struct uj_state *S)
{
  struct uj_member_host host = {has_news, wake, S};
  if (S->member != NULL && uj_member_is_here(S->member))
    uj_member_set_host(S->member, &host);
}

void uj_lcrew_end(struct uj_state *S)
{
  struct uj_member_host none = {has_no_news, NULL, NULL};
  struct uj_member *member = S->member;
  if (member == NULL)
    return;
  if (uj_member_is_here(member))
    uj_member_set_host(member, &none);
  if (!uj_member_is_founder(member))
    return;
  S->member = NULL;
  uj_member_leave(member);
  uj_member_free(member);
}

/* ---- founding ------------------------------------------------------------ */

/* What decides the order of the jobs decides that of the loops, too. */
static void begin_turns(struct uj_state *S)
{
  uint64_t seed = uj_random_next(S->random);
  if (S->loop.shuffles)
    seed ^= S->loop.seed;
  uj_turns_begin(S->member, S->virtual_ns, S->date->base_ns, S->loop.shuffles,
                 seed);
}

/* In a function of work, channels of the program may be used by all members. */
static int l_found(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (S->member != NULL && uj_member_is_here(S->member))
    return 0;
  S->member = uj_crew_found(S->outer->is_stopped != NULL);
  if (S->member == NULL)
    luaL_error(L, "not enough memory");
  if (S->is_virtual)
    begin_turns(S);
  uj_lcrew_begin(S);
  return 0;
}

const luaL_Reg uj_lcrew_internals[] = {{"found_crew", l_found}, {NULL, NULL}};
