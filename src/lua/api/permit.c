#include "lua/api/permit.h"

#include <lauxlib.h>
#include <stdbool.h>

#include "lua/base/object.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

#define PERMIT_TYPE "uvjobs.Permit"

static const char permit_tag[] = PERMIT_TYPE;

enum permit_of { OF_SEMAPHORE, OF_MUTEX };

/* The semaphore or mutex is the user value, too, and so outlives its permits.
 */
struct permit {
  struct uj_object object;
  enum permit_of of;
  union {
    struct uj_semaphore *semaphore; /* OF_SEMAPHORE */
    struct uj_mutex *mutex;         /* OF_MUTEX */
  };
  uint64_t turn; /* uj_mutex::turn when the lock was got */
  bool held;
};

static struct permit *check_self(lua_State *L, const char *name)
{
  return uj_object_self(L, permit_tag, name);
}

/* Whether the permit still holds a mutex. It does not when the mutex has been
 * unlocked by other means: by its own method, or because the job has ended. */
static bool holds_mutex(const struct permit *permit)
{
  return permit->of == OF_MUTEX && permit->held &&
         permit->mutex->owner != NULL && permit->mutex->turn == permit->turn;
}

static void give_back(struct permit *permit)
{
  if (holds_mutex(permit))
    uj_mutex_unlock(permit->mutex);
  else if (permit->of == OF_SEMAPHORE && permit->held)
    (void)uj_semaphore_release(permit->semaphore);
  permit->held = false;
}

/* Raises when a job gives back the lock of another job. */
static void check_owner(struct uj_state *S, lua_State *L,
                        const struct permit *permit)
{
  if (holds_mutex(permit) && S->current != NULL &&
      permit->mutex->owner != &S->current->core)
    luaL_error(L, "the mutex is locked by job #%I",
               (LUAI_UACINT)permit->mutex->owner->id);
}

/* Unlike release() this works outside of jobs, and while the Lua state closes,
 * when uj_state() raises. */
static int permit_close(lua_State *L)
{
  struct permit *permit = check_self(L, "release");
  check_owner(lua_touserdata(L, lua_upvalueindex(1)), L, permit);
  give_back(permit);
  return 0;
}

static int permit_release(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct permit *permit = check_self(L, "release");
  if (holds_mutex(permit))
    uj_suspend_check_job(S, L, "release");
  check_owner(S, L, permit);
  give_back(permit);
  return 0;
}

static int permit_tostring(lua_State *L)
{
  const struct permit *permit = check_self(L, "tostring");
  lua_pushfstring(L, PERMIT_TYPE ": %s", permit->held ? "held" : "released");
  return 1;
}

int uj_permit_got(lua_State *L)
{
  struct permit *permit = lua_touserdata(L, -1);
  permit->held = true;
  if (permit->of == OF_MUTEX)
    permit->turn = permit->mutex->turn;
  return 1;
}

int uj_permit_waited(lua_State *L, int status, lua_KContext ctx)
{
  int n = uj_suspend_return_true(L, status, ctx);
  if (n == 2) /* nil and "timeout" */
    return n;
  lua_pop(L, 1);
  return uj_permit_got(L);
}

bool uj_permit_push_held(lua_State *L, int idx)
{
  const struct permit *permit = uj_object_to(L, idx, permit_tag);
  if (permit == NULL || !permit->held ||
      (permit->of == OF_MUTEX && !holds_mutex(permit)))
    return false;
  lua_getiuservalue(L, idx, 1);
  return true;
}

static struct permit *push_permit(lua_State *L, enum permit_of of)
{
  struct permit *permit;
  lua_settop(L, 1);
  permit = lua_newuserdatauv(L, sizeof(*permit), 1);
  *permit = (struct permit){.object.tag = permit_tag, .of = of};
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, 1);
  luaL_setmetatable(L, PERMIT_TYPE);
  return permit;
}

void uj_permit_push_of_semaphore(lua_State *L, struct uj_semaphore *semaphore)
{
  push_permit(L, OF_SEMAPHORE)->semaphore = semaphore;
}

void uj_permit_push_of_mutex(lua_State *L, struct uj_mutex *mutex)
{
  push_permit(L, OF_MUTEX)->mutex = mutex;
}

void uj_permit_register(lua_State *L)
{
  static const luaL_Reg methods[] = {{"release", permit_release}, {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__close", permit_close}, {"__tostring", permit_tostring}, {NULL, NULL}};
  static const struct uj_type type = {
      .tag = permit_tag, .methods = methods, .meta = meta};
  uj_object_register(L, &type);
  lua_pop(L, 1);
}
