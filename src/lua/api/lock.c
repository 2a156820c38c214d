#include "lua/api/lock.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "core/mutex.h"
#include "core/semaphore.h"
#include "lua/base/object.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

static const char semaphore_tag[] = UJ_SEMAPHORE_TYPE;
static const char mutex_tag[] = UJ_MUTEX_TYPE;
static const char permit_tag[] = UJ_PERMIT_TYPE;

struct lsemaphore {
  struct uj_counted_object object;
  struct uj_semaphore core;
};

struct lmutex {
  struct uj_object object;
  struct uj_mutex core;
  bool collected;
};

static struct uj_semaphore *self_semaphore(lua_State *L, const char *name)
{
  struct lsemaphore *semaphore = uj_object_self(L, semaphore_tag, name);
  return &semaphore->core;
}

static struct uj_mutex *self_mutex(lua_State *L, const char *name)
{
  struct lmutex *mutex = uj_object_self(L, mutex_tag, name);
  if (mutex->collected)
    luaL_error(L, "'%s' of a mutex that was collected", name);
  return &mutex->core;
}

static int push_true(lua_State *L)
{
  lua_pushboolean(L, 1);
  return 1;
}

/* For a continuation: true, or nil and "timeout". */
static int waited(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  if (uj_suspend_result(uj_state(L), L) == UJ_WAKE_OK)
    return push_true(L);
  lua_pushnil(L);
  lua_pushliteral(L, "timeout");
  return 2;
}

static struct uj_ljob *check_in_job(struct uj_state *S, lua_State *L,
                                    const char *name)
{
  if (S->current == NULL)
    luaL_error(L, "'%s' must be called in a job", name);
  return S->current;
}

/* ---- permits ----------------------------------------------------------- */

/* One permit of a semaphore, or the lock of a mutex; the thing itself is the
 * user value. It is made before it is waited for: so that nothing that can fail
 * is left to do when it was got. */
struct permit {
  struct uj_object object;
  struct uj_semaphore *semaphore; /* either this */
  struct uj_mutex *mutex;         /* or that */
  uint64_t turn;                  /* of the mutex, when the permit was got */
  bool held;
};

static struct permit *self_permit(lua_State *L, const char *name)
{
  return uj_object_self(L, permit_tag, name);
}

/* Whether it is still what holds the mutex: that has passed on when it was
 * unlocked by itself, or the job ended. */
static bool holds_mutex(const struct permit *permit)
{
  const struct uj_job *owner = permit->mutex->owner;
  return permit->held && owner != NULL && permit->mutex->turn == permit->turn;
}

static void give_back(struct permit *permit)
{
  if (permit->mutex != NULL && holds_mutex(permit))
    uj_mutex_unlock(permit->mutex);
  else if (permit->semaphore != NULL && permit->held)
    (void)uj_semaphore_release(permit->semaphore);
  permit->held = false;
}

/* Raises for the mutex of another job. */
static void check_owner(struct uj_state *S, lua_State *L,
                        const struct permit *permit)
{
  if (permit->mutex != NULL && holds_mutex(permit) && S->current != NULL &&
      permit->mutex->owner != &S->current->core)
    luaL_error(L, "the mutex is locked by job #%I",
               (LUAI_UACINT)permit->mutex->owner->id);
}

/* Also when the Lua state closes. */
static int permit_close(lua_State *L)
{
  struct permit *permit = self_permit(L, "release");
  check_owner(lua_touserdata(L, lua_upvalueindex(1)), L, permit);
  give_back(permit);
  return 0;
}

/* permit:release() */
static int permit_release(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct permit *permit = self_permit(L, "release");
  if (permit->mutex != NULL && holds_mutex(permit))
    check_in_job(S, L, "release");
  check_owner(S, L, permit);
  give_back(permit);
  return 0;
}

static int permit_tostring(lua_State *L)
{
  const struct permit *permit = self_permit(L, "tostring");
  lua_pushfstring(L, UJ_PERMIT_TYPE ": %s", permit->held ? "held" : "released");
  return 1;
}

/* Stack: self, permit. */
static int permit_got(lua_State *L)
{
  struct permit *permit = lua_touserdata(L, 2);
  permit->held = true;
  permit->turn = permit->mutex == NULL ? 0 : permit->mutex->turn;
  return 1;
}

static int permit_waited(lua_State *L, int status, lua_KContext ctx)
{
  int n = waited(L, status, ctx);
  if (n == 2)
    return n;
  lua_pop(L, 1);
  return permit_got(L);
}

/* Replaces the arguments by self and a permit that is not yet held. */
static void push_permit(lua_State *L, struct uj_semaphore *semaphore,
                        struct uj_mutex *mutex)
{
  struct permit *permit;
  lua_settop(L, 1);
  permit = lua_newuserdatauv(L, sizeof(*permit), 1);
  permit->object.tag = permit_tag;
  permit->semaphore = semaphore;
  permit->mutex = mutex;
  permit->turn = 0;
  permit->held = false;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, 1);
  luaL_setmetatable(L, UJ_PERMIT_TYPE);
}

/* ---- semaphores -------------------------------------------------------- */

int uj_lock_semaphore(lua_State *L)
{
  static const struct uj_callee callee = {"semaphore", 0};
  struct lsemaphore *semaphore;
  uint64_t total;
  uj_state(L);
  total = uj_arg_count(L, &callee, 1, 1);
  semaphore = lua_newuserdatauv(L, sizeof(*semaphore), 0);
  uj_object_init_counted(&semaphore->object, semaphore_tag);
  uj_semaphore_init(&semaphore->core, total);
  luaL_setmetatable(L, UJ_SEMAPHORE_TYPE);
  return 1;
}

/* A job that waits for it has it on its stack; but somebody else may have
 * closed that coroutine. */
static int semaphore_gc(lua_State *L)
{
  struct lsemaphore *semaphore = uj_object_to(L, 1, semaphore_tag);
  if (semaphore != NULL)
    uj_waitq_close(&semaphore->core.waiters);
  return 0;
}

/* Takes a permit and returns got(), or waits for one and goes on with k. */
static int take(struct uj_state *S, lua_State *L,
                struct uj_semaphore *semaphore, uint64_t span_ns,
                lua_CFunction got, lua_KFunction k)
{
  if (!uj_suspend_needed(S->current) && uj_semaphore_try(semaphore))
    return got(L);
  return uj_suspend(L, S->current, &semaphore->waiters,
                    uj_suspend_due(S, span_ns), UJ_OP_ACQUIRE, k);
}

static int semaphore_acquire(lua_State *L)
{
  static const struct uj_callee callee = {"acquire", 1};
  struct uj_state *S = uj_state(L);
  struct uj_semaphore *semaphore = self_semaphore(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  uj_suspend_check(S, L, callee.name);
  return take(S, L, semaphore, span_ns, push_true, waited);
}

static int semaphore_permit(lua_State *L)
{
  static const struct uj_callee callee = {"permit", 1};
  struct uj_state *S = uj_state(L);
  struct uj_semaphore *semaphore = self_semaphore(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  uj_suspend_check(S, L, callee.name);
  push_permit(L, semaphore, NULL);
  return take(S, L, semaphore, span_ns, permit_got, permit_waited);
}

static int semaphore_try_acquire(lua_State *L)
{
  uj_state(L);
  lua_pushboolean(L, uj_semaphore_try(self_semaphore(L, "try_acquire")));
  return 1;
}

static int semaphore_release(lua_State *L)
{
  uj_state(L);
  if (!uj_semaphore_release(self_semaphore(L, "release")))
    return luaL_error(L, "semaphore released more often than acquired");
  return 0;
}

static void push_count(lua_State *L, const struct uj_semaphore *semaphore)
{
  if (semaphore->total == UINT64_MAX)
    lua_pushnumber(L, HUGE_VAL);
  else
    lua_pushinteger(L, (lua_Integer)semaphore->count);
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
  const struct uj_semaphore *semaphore = self_semaphore(L, "tostring");
  push_count(L, semaphore);
  lua_pushfstring(L, UJ_SEMAPHORE_TYPE ": %s free", lua_tostring(L, -1));
  return 1;
}

/* ---- mutexes ----------------------------------------------------------- */

int uj_lock_mutex(lua_State *L)
{
  struct lmutex *mutex;
  uj_state(L);
  mutex = lua_newuserdatauv(L, sizeof(*mutex), 0);
  mutex->object.tag = mutex_tag;
  mutex->collected = false;
  uj_mutex_init(&mutex->core);
  luaL_setmetatable(L, UJ_MUTEX_TYPE);
  return 1;
}

/* A finalizer may make it reachable again, but it has left the loop's list for
 * good. */
static int mutex_gc(lua_State *L)
{
  struct lmutex *mutex = uj_object_to(L, 1, mutex_tag);
  if (mutex == NULL)
    return 0;
  uj_waitq_close(&mutex->core.waiters);
  uj_mutex_term(&mutex->core);
  mutex->collected = true;
  return 0;
}

/* Whether the job may wait for it: it would wait for itself for ever. */
static void check_not_owner(lua_State *L, const struct uj_mutex *mutex,
                            const struct uj_ljob *self)
{
  if (mutex->owner == &self->core)
    luaL_error(L, "the mutex is already locked by this job");
}

/* Locks it and returns got(), or waits for it and goes on with k. */
static int lock(struct uj_state *S, lua_State *L, struct uj_mutex *mutex,
                uint64_t span_ns, lua_CFunction got, lua_KFunction k)
{
  struct uj_ljob *self = S->current;
  if (!uj_suspend_needed(self) && uj_mutex_try(mutex, &self->core))
    return got(L);
  return uj_suspend(L, self, &mutex->waiters, uj_suspend_due(S, span_ns),
                    UJ_OP_LOCK, k);
}

static int mutex_lock(lua_State *L)
{
  static const struct uj_callee callee = {"lock", 1};
  struct uj_state *S = uj_state(L);
  struct uj_mutex *mutex = self_mutex(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  check_not_owner(L, mutex, uj_suspend_check(S, L, callee.name));
  return lock(S, L, mutex, span_ns, push_true, waited);
}

static int mutex_permit(lua_State *L)
{
  static const struct uj_callee callee = {"permit", 1};
  struct uj_state *S = uj_state(L);
  struct uj_mutex *mutex = self_mutex(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  check_not_owner(L, mutex, uj_suspend_check(S, L, callee.name));
  push_permit(L, NULL, mutex);
  return lock(S, L, mutex, span_ns, permit_got, permit_waited);
}

static int mutex_try_lock(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_mutex *mutex = self_mutex(L, "try_lock");
  struct uj_ljob *self = check_in_job(S, L, "try_lock");
  lua_pushboolean(L, uj_mutex_try(mutex, &self->core));
  return 1;
}

static int mutex_unlock(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_mutex *mutex = self_mutex(L, "unlock");
  struct uj_ljob *self = check_in_job(S, L, "unlock");
  if (mutex->owner == NULL)
    return luaL_error(L, "the mutex is not locked");
  if (mutex->owner != &self->core) {
    uj_ljob_push(S, L, uj_ljob_of(mutex->owner));
    uj_ljob_push_label(L, -1);
    return luaL_error(L, "the mutex is locked by %s", lua_tostring(L, -1));
  }
  uj_mutex_unlock(mutex);
  return 0;
}

static int mutex_tostring(lua_State *L)
{
  struct lmutex *self = uj_object_self(L, mutex_tag, "tostring");
  const struct uj_mutex *mutex = &self->core;
  if (mutex->owner == NULL)
    lua_pushliteral(L, UJ_MUTEX_TYPE ": free");
  else
    lua_pushfstring(L, UJ_MUTEX_TYPE ": locked by job #%I",
                    (LUAI_UACINT)mutex->owner->id);
  return 1;
}

int uj_lock_abandon(struct uj_state *S, struct uj_ljob *job)
{
  struct uj_mutex *mutex;
  int count = 0;
  while ((mutex = uj_mutex_held(&S->loop, &job->core)) != NULL) {
    uj_mutex_unlock(mutex);
    count++;
  }
  return count;
}

/* ------------------------------------------------------------------------ */

void uj_lock_register(lua_State *L, int module)
{
  static const luaL_Reg semaphore[] = {{"acquire", semaphore_acquire},
                                       {"try_acquire", semaphore_try_acquire},
                                       {"release", semaphore_release},
                                       {"permit", semaphore_permit},
                                       {NULL, NULL}};
  static const luaL_Reg semaphore_meta[] = {
      {"__tostring", semaphore_tostring}, {"__gc", semaphore_gc}, {NULL, NULL}};
  static const luaL_Reg mutex[] = {{"lock", mutex_lock},
                                   {"try_lock", mutex_try_lock},
                                   {"unlock", mutex_unlock},
                                   {"permit", mutex_permit},
                                   {NULL, NULL}};
  static const luaL_Reg mutex_meta[] = {
      {"__tostring", mutex_tostring}, {"__gc", mutex_gc}, {NULL, NULL}};
  static const luaL_Reg permit[] = {{"release", permit_release}, {NULL, NULL}};
  static const luaL_Reg permit_meta[] = {
      {"__close", permit_close}, {"__tostring", permit_tostring}, {NULL, NULL}};
  static const struct uj_type permit_type = {
      .tag = permit_tag, .methods = permit, .meta = permit_meta};
  static const struct uj_type semaphore_type = {.tag = semaphore_tag,
                                                .methods = semaphore,
                                                .meta = semaphore_meta,
                                                .property = push_property,
                                                .counts_lookups = true};
  static const struct uj_type mutex_type = {
      .tag = mutex_tag, .methods = mutex, .meta = mutex_meta};
  uj_object_register(L, &permit_type);
  lua_pop(L, 1);
  uj_object_register(L, &semaphore_type);
  lua_setfield(L, module, "Semaphore");
  uj_object_register(L, &mutex_type);
  lua_setfield(L, module, "Mutex");
}
