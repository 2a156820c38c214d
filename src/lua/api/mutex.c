#include "lua/api/mutex.h"

#include <stdbool.h>

#include "core/mutex.h"
#include "lua/api/permit.h"
#include "lua/base/record.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

#define MUTEX_TYPE "uvjobs.Mutex"

static const char mutex_tag[] = MUTEX_TYPE;

/* The record of the userdata: uj_loop::locked refers to it. */
struct lmutex {
  struct uj_record record;
  struct uj_mutex core;
};

/* A finalizer can have made it reachable again after mutex_gc(). */
static struct uj_mutex *check_self(lua_State *L, const char *name)
{
  struct lmutex *mutex = uj_record_self(L, mutex_tag, name);
  if (mutex->record.slot == 0)
    luaL_error(L, "'%s' of a mutex that was collected", name);
  return &mutex->core;
}

static int l_mutex(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct lmutex *mutex = uj_record_push(&S->records, L, mutex_tag,
                                        sizeof(*mutex), UJ_RECORD_UV, 0);
  uj_mutex_init(&mutex->core);
  return 1;
}

/* Takes the mutex off the loop's list of locked ones for good. So it cannot be
 * locked any more, even if a finalizer makes it reachable again. */
static int mutex_gc(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, lua_upvalueindex(1));
  struct lmutex *mutex = uj_record_to(L, 1, mutex_tag);
  if (mutex == NULL)
    return 0;
  uj_waitq_close(&mutex->core.waiters);
  uj_mutex_term(&mutex->core);
  if (!S->dead)
    uj_record_release(&S->records, &mutex->record);
  return 0;
}

/* Returns the calling job; raises when it has locked the mutex, for which it
 * would wait for ever. */
static struct uj_ljob *check_may_wait(struct uj_state *S, lua_State *L,
                                      const struct uj_mutex *mutex,
                                      const char *name)
{
  struct uj_ljob *caller = uj_suspend_check(S, L, name);
  if (mutex->owner == &caller->core)
    luaL_error(L, "the mutex is already locked by this job");
  return caller;
}

static bool take(struct uj_mutex *mutex, struct uj_ljob *caller)
{
  return !uj_suspend_needed(caller) && uj_mutex_try(mutex, &caller->core);
}

static int wait(struct uj_state *S, lua_State *L, struct uj_mutex *mutex,
                uint64_t span_ns, lua_KFunction k)
{
  return uj_suspend(L, S->current, &mutex->waiters, uj_suspend_due(S, span_ns),
                    UJ_LOP_LOCK, k);
}

static int mutex_lock(lua_State *L)
{
  static const struct uj_callee callee = {"lock", 1};
  struct uj_state *S = uj_state(L);
  struct uj_mutex *mutex = check_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  struct uj_ljob *caller = check_may_wait(S, L, mutex, callee.name);
  if (!take(mutex, caller))
    return wait(S, L, mutex, span_ns, uj_suspend_return_true);
  lua_pushboolean(L, 1);
  return 1;
}

static int mutex_permit(lua_State *L)
{
  static const struct uj_callee callee = {"permit", 1};
  struct uj_state *S = uj_state(L);
  struct uj_mutex *mutex = check_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  struct uj_ljob *caller = check_may_wait(S, L, mutex, callee.name);
  uj_permit_push_of_mutex(L, mutex);
  if (!take(mutex, caller))
    return wait(S, L, mutex, span_ns, uj_permit_waited);
  return uj_permit_got(L);
}

static int mutex_try_lock(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_mutex *mutex = check_self(L, "try_lock");
  struct uj_ljob *caller = uj_suspend_check_job(S, L, "try_lock");
  lua_pushboolean(L, uj_mutex_try(mutex, &caller->core));
  return 1;
}

static int mutex_unlock(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_mutex *mutex = check_self(L, "unlock");
  struct uj_ljob *caller = uj_suspend_check_job(S, L, "unlock");
  if (mutex->owner == NULL)
    return luaL_error(L, "the mutex is not locked");
  if (mutex->owner != &caller->core) {
    uj_ljob_push(S, L, uj_ljob_of(mutex->owner));
    uj_ljob_push_label(L, -1);
    return luaL_error(L, "the mutex is locked by %s", lua_tostring(L, -1));
  }
  uj_mutex_unlock(mutex);
  return 0;
}

/* Works for a collected mutex, too. */
static int mutex_tostring(lua_State *L)
{
  const struct lmutex *mutex = uj_record_self(L, mutex_tag, "tostring");
  const struct uj_job *owner = mutex->core.owner;
  if (owner == NULL)
    lua_pushliteral(L, MUTEX_TYPE ": free");
  else
    lua_pushfstring(L, MUTEX_TYPE ": locked by job #%I",
                    (LUAI_UACINT)owner->id);
  return 1;
}

int uj_lmutex_unlock_all(struct uj_state *S, struct uj_ljob *job)
{
  struct uj_mutex *mutex;
  int count = 0;
  while ((mutex = uj_mutex_held(&S->loop, &job->core)) != NULL) {
    uj_mutex_unlock(mutex);
    count++;
  }
  return count;
}

void uj_lmutex_register(lua_State *L)
{
  static const luaL_Reg methods[] = {{"lock", mutex_lock},
                                     {"try_lock", mutex_try_lock},
                                     {"unlock", mutex_unlock},
                                     {"permit", mutex_permit},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__tostring", mutex_tostring}, {"__gc", mutex_gc}, {NULL, NULL}};
  static const struct uj_type type = {
      .tag = mutex_tag, .methods = methods, .meta = meta};
  uj_object_register(L, &type);
}

const luaL_Reg uj_lmutex_functions[] = {{"mutex", l_mutex}, {NULL, NULL}};
