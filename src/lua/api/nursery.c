#include "lua/api/nursery.h"

#include "core/end.h"
#include "lua/engine/report.h"
#include "lua/engine/scopes.h"
#include "lua/state/job.h"
#include "lua/state/outcome.h"
#include "lua/state/sched.h"

bool uj_nursery_fail(struct uj_ljob *job)
{
  struct uj_lsched *sched = uj_lsched_of(job->core.sched);
  if (!sched->core.nursery || sched->failed != NULL)
    return false;
  sched->failed = job;
  uj_sched_close(&sched->core, NULL);
  if (sched->scope != NULL)
    uj_scope_trip(uj_state_of(sched->core.loop), sched->scope);
  return true;
}

/* [-0, +1, -] Pushes the job that made the nursery fail, and lets go of it. */
static void take_failed(struct uj_state *S, lua_State *L,
                        struct uj_lsched *sched)
{
  uj_ljob_push(S, L, sched->failed);
  uj_ljob_release(S, sched->failed);
  sched->failed = NULL;
}

int uj_nursery_raise(lua_State *L, struct uj_lsched *sched)
{
  if (sched->failed == NULL)
    return 0;
  take_failed(uj_state(L), L, sched);
  uj_outcome_push_error(L, lua_gettop(L));
  return lua_error(L);
}

void uj_nursery_report(struct uj_state *S, struct uj_lsched *sched)
{
  struct uj_ljob *job = sched->failed;
  if (job == NULL)
    return;
  uj_report_job(S, job);
  sched->failed = NULL;
  uj_ljob_release(S, job);
}

/* An exception handler may end other schedulers, and so change the list: the
 * walk starts anew after each report. */
void uj_nursery_report_all(struct uj_state *S)
{
  struct uj_link *list = &S->loop.scheds, *link = list->next;
  while (link != list) {
    struct uj_lsched *sched =
        uj_lsched_of(uj_container(link, struct uj_sched, link));
    bool failed = sched->failed != NULL;
    uj_nursery_report(S, sched);
    link = failed ? list->next : link->next;
  }
}

static int l_raise_failed(lua_State *L)
{
  return uj_nursery_raise(L, uj_lsched_self(L, "raise_failed"));
}

/* Without a running loop no handler can be called: the error stays for later.
 */
static int l_report_failed(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  if (S->L != NULL)
    uj_nursery_report(S, uj_lsched_self(L, "report_failed"));
  return 0;
}

static int l_has_failed(lua_State *L)
{
  lua_pushboolean(L, uj_lsched_self(L, "has_failed")->failed != NULL);
  return 1;
}

const luaL_Reg uj_nursery_internals[] = {{"raise_failed", l_raise_failed},
                                         {"has_failed", l_has_failed},
                                         {"report_failed", l_report_failed},
                                         {NULL, NULL}};
