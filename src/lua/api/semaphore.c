#include "lua/api/semaphore.h"

#include <string.h>

#include "core/semaphore.h"
#include "lua/api/permit.h"
#include "lua/base/args.h"
#include "lua/base/object.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

#define SEMAPHORE_TYPE "uvjobs.Semaphore"

static const char semaphore_tag[] = SEMAPHORE_TYPE;

struct lsemaphore {
  struct uj_counted_object object;
  struct uj_semaphore core;
};

static struct uj_semaphore *check_self(lua_State *L, const char *name)
{
  struct lsemaphore *semaphore = uj_object_self(L, semaphore_tag, name);
  return &semaphore->core;
}

static int l_semaphore(lua_State *L)
{
  static const struct uj_callee callee = {"semaphore", 0};
  struct lsemaphore *semaphore;
  uint64_t total;
  uj_state(L);
  total = uj_arg_count(L, &callee, 1, 1);
  semaphore = lua_newuserdatauv(L, sizeof(*semaphore), 0);
  uj_object_init_counted(&semaphore->object, semaphore_tag);
  uj_semaphore_init(&semaphore->core, total);
  luaL_setmetatable(L, SEMAPHORE_TYPE);
  return 1;
}

/* A job that waits for the semaphore has it on its stack, so it is not
 * collected then; unless somebody else has closed the coroutine of that job. */
static int semaphore_gc(lua_State *L)
{
  struct lsemaphore *semaphore = uj_object_to(L, 1, semaphore_tag);
  if (semaphore != NULL)
    uj_waitq_close(&semaphore->core.waiters);
  return 0;
}

/* Takes a permit of the semaphore and returns true; otherwise waits for one. */
static bool take(struct uj_state *S, struct uj_semaphore *semaphore)
{
  return !uj_suspend_needed(S->current) && uj_semaphore_try(semaphore);
}

static int wait(struct uj_state *S, lua_State *L,
                struct uj_semaphore *semaphore, uint64_t span_ns,
                lua_KFunction k)
{
  return uj_suspend(L, S->current, &semaphore->waiters,
                    uj_suspend_due(S, span_ns), UJ_LOP_ACQUIRE, k);
}

uint64_t uj_lsemaphore_total(lua_State *L, int idx)
{
  const struct lsemaphore *semaphore = uj_object_to(L, idx, semaphore_tag);
  return semaphore == NULL ? 0 : semaphore->core.total;
}

static int semaphore_acquire(lua_State *L)
{
  static const struct uj_callee callee = {"acquire", 1};
  struct uj_state *S = uj_state(L);
  struct uj_semaphore *semaphore = check_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  uj_suspend_check(S, L, callee.name);
  if (!take(S, semaphore))
    return wait(S, L, semaphore, span_ns, uj_suspend_return_true);
  lua_pushboolean(L, 1);
  return 1;
}

static int semaphore_permit(lua_State *L)
{
  static const struct uj_callee callee = {"permit", 1};
  struct uj_state *S = uj_state(L);
  struct uj_semaphore *semaphore = check_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  uj_suspend_check(S, L, callee.name);
  uj_permit_push_of_semaphore(L, semaphore);
  if (!take(S, semaphore))
    return wait(S, L, semaphore, span_ns, uj_permit_waited);
  return uj_permit_got(L);
}

static int semaphore_try_acquire(lua_State *L)
{
  uj_state(L);
  lua_pushboolean(L, uj_semaphore_try(check_self(L, "try_acquire")));
  return 1;
}

static int semaphore_release(lua_State *L)
{
  uj_state(L);
  if (!uj_semaphore_release(check_self(L, "release")))
    return luaL_error(L, "semaphore released more often than acquired");
  return 0;
}

/* [-0, +1, -] Pushes how many permits are free; of endless ones, math.huge. */
static void push_count(lua_State *L, const struct uj_semaphore *semaphore)
{
  bool endless = semaphore->total == UINT64_MAX;
  uj_arg_push_count(L, endless ? UINT64_MAX : semaphore->count);
}

static bool push_property(lua_State *L, const void *object, const char *key)
{
  const struct lsemaphore *semaphore = object;
  if (strcmp(key, "count") == 0)
    push_count(L, &semaphore->core);
  else
    return false;
  return true;
}

static int semaphore_tostring(lua_State *L)
{
  const struct uj_semaphore *semaphore = check_self(L, "tostring");
  push_count(L, semaphore);
  lua_pushfstring(L, SEMAPHORE_TYPE ": %s free", lua_tostring(L, -1));
  return 1;
}

void uj_lsemaphore_register(lua_State *L)
{
  static const char *const properties[] = {"count", NULL};
  static const luaL_Reg methods[] = {{"acquire", semaphore_acquire},
                                     {"try_acquire", semaphore_try_acquire},
                                     {"release", semaphore_release},
                                     {"permit", semaphore_permit},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__tostring", semaphore_tostring}, {"__gc", semaphore_gc}, {NULL, NULL}};
  static const struct uj_type type = {.tag = semaphore_tag,
                                      .methods = methods,
                                      .meta = meta,
                                      .property = push_property,
                                      .properties = properties,
                                      .counts_lookups = true};
  uj_object_register(L, &type);
}

const luaL_Reg uj_lsemaphore_functions[] = {{"semaphore", l_semaphore},
                                            {NULL, NULL}};
