#include "lua/api/queue.h"

#include <lauxlib.h>
#include <string.h>

#include "core/queue.h"
#include "lua/base/args.h"
#include "lua/base/object.h"
#include "lua/engine/nest.h"
#include "lua/engine/suspend.h"
#include "lua/engine/watchers.h"
#include "lua/state/job.h"

#define QUEUE_TYPE "uvjobs.Queue"

/* The stored values are in a table, the user value. Its fields 1 .. size are a
 * ring, so that storing and taking never allocates. */
struct lqueue {
  struct uj_counted_object object;
  struct uj_queue core;
  uint64_t size;   /* slots of the ring, a power of two, or 0 */
  uint64_t head;   /* the slot of the first value, from 0 */
  bool is_watched; /* it may be: see engine/watchers.h */
};

enum { UV_RING = 1 }; /* the user value */

/* A ring begins with FIRST_SIZE slots. A queue that is empty again gives it
 * back when it has more than KEPT_SIZE. */
enum { FIRST_SIZE = 8, KEPT_SIZE = 1024 };

static const char queue_tag[] = QUEUE_TYPE;

bool uj_lqueue_watch(lua_State *L, int idx)
{
  struct lqueue *queue = uj_object_to(L, idx, queue_tag);
  if (queue != NULL)
    queue->is_watched = true;
  return queue != NULL;
}

/* Something may be there to be got. */
static void wake_watchers(lua_State *L, struct lqueue *queue)
{
  queue->is_watched = uj_watchers_wake(uj_state(L), queue, false);
}

static struct lqueue *check_self(lua_State *L, const char *name)
{
  return uj_object_self(L, queue_tag, name);
}

/* ---- the ring ---------------------------------------------------------- */

/* The slot, from 1, of the value that is `n` places behind the first one. */
static lua_Integer slot_of(const struct lqueue *queue, uint64_t n)
{
  return (lua_Integer)((queue->head + n) & (queue->size - 1)) + 1;
}

/* [-1, +0, -] Makes the table on the top, which has `size` slots, the ring. */
static void move_values(lua_State *L, struct lqueue *queue, uint64_t size)
{
  lua_getiuservalue(L, 1, UV_RING);
  for (uint64_t i = 0; i < queue->core.count; i++) {
    lua_rawgeti(L, -1, slot_of(queue, i));
    lua_rawseti(L, -3, (lua_Integer)i + 1);
  }
  lua_pop(L, 1);
  lua_setiuservalue(L, 1, UV_RING);
  queue->size = size;
  queue->head = 0;
}

/* [-0, +0, m] Makes room for one more value. Making the table can run
 * finalizers, and they can use the queue: a table that came too late is
 * dropped. */
static void reserve(lua_State *L, struct lqueue *queue)
{
  while (queue->core.count >= queue->size) {
    uint64_t old = queue->size;
    uint64_t size = old == 0 ? FIRST_SIZE : old * 2;
    lua_createtable(L, (int)size, 0);
    if (queue->size == old)
      move_values(L, queue, size);
    else
      lua_pop(L, 1);
  }
}

/* [-1, +0, -] Stores the value on the top as the last one, which the core has
 * counted already. */
static void store(lua_State *L, const struct lqueue *queue)
{
  lua_getiuservalue(L, 1, UV_RING);
  lua_insert(L, -2);
  lua_rawseti(L, -2, slot_of(queue, queue->core.count - 1));
  lua_pop(L, 1);
}

/* [-0, +1, -] Pushes the first value and takes it out of the ring. */
static void take(lua_State *L, struct lqueue *queue)
{
  lua_Integer slot = slot_of(queue, 0);
  lua_getiuservalue(L, 1, UV_RING);
  lua_rawgeti(L, -1, slot);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -3, slot);
  lua_remove(L, -2);
  queue->head = (queue->head + 1) & (queue->size - 1);
}

/* [-0, +0, -] Gives the ring of an empty queue back when a burst of values has
 * made it large. */
static void trim(lua_State *L, struct lqueue *queue)
{
  if (queue->core.count > 0 || queue->size <= KEPT_SIZE)
    return;
  lua_pushnil(L);
  lua_setiuservalue(L, 1, UV_RING);
  queue->size = 0;
  queue->head = 0;
}

/* ---- putting ----------------------------------------------------------- */

/* Gives the value at index 2 to a job that waits in get(). */
static void hand_over(lua_State *L, struct uj_job *getter)
{
  lua_pushvalue(L, 2);
  uj_ljob_hand(uj_ljob_of(getter), L, 1);
}

static int push_failure(lua_State *L, const char *code)
{
  lua_pushnil(L);
  lua_pushstring(L, code);
  return 2;
}

/* Puts the value at index 2, if there is room. */
static enum uj_queue_result put(lua_State *L, struct lqueue *queue)
{
  struct uj_job *getter;
  enum uj_queue_result result;
  if (!queue->core.closed && queue->core.count < queue->core.capacity)
    reserve(L, queue);
  result = uj_queue_put(&queue->core, &getter);
  if (result == UJ_QUEUE_HANDED)
    hand_over(L, getter);
  else if (result == UJ_QUEUE_STORED) {
    lua_pushvalue(L, 2);
    store(L, queue);
  }
  if (queue->is_watched) /* also when the job is going to wait with its value */
    wake_watchers(L, queue);
  return result;
}

static void check_value(lua_State *L, const struct uj_callee *callee)
{
  if (lua_isnoneornil(L, 2))
    uj_arg_error(L, callee, 2, "value expected, got nil");
}

/* The value needs no more care: who woke the job has taken it from its stack.
 */
static int put_waited(lua_State *L, int status, lua_KContext ctx)
{
  enum uj_wake wake = uj_suspend_result(uj_suspend_state(L, ctx), L);
  (void)status;
  if (wake != UJ_WAKE_OK)
    return push_failure(L, wake == UJ_WAKE_CLOSED ? "closed" : "timeout");
  lua_pushboolean(L, 1);
  return 1;
}

static int queue_put(lua_State *L)
{
  static const struct uj_callee callee = {"put", 1};
  struct uj_state *S = uj_state(L);
  struct lqueue *queue = check_self(L, callee.name);
  struct uj_ljob *caller;
  uint64_t span_ns;
  check_value(L, &callee);
  span_ns = uj_arg_opt_seconds(L, &callee, 3, UJ_NEVER);
  caller = uj_suspend_check(S, L, callee.name);
  if (!uj_suspend_needed(caller)) {
    enum uj_queue_result result = put(L, queue);
    if (result == UJ_QUEUE_CLOSED)
      return push_failure(L, "closed");
    if (result != UJ_QUEUE_WAIT) {
      lua_pushboolean(L, 1);
      return 1;
    }
  }
  return uj_suspend(L, caller, &queue->core.putters, uj_suspend_due(S, span_ns),
                    UJ_LOP_PUT, put_waited);
}

static int queue_try_put(lua_State *L)
{
  static const struct uj_callee callee = {"try_put", 1};
  struct lqueue *queue = check_self(L, callee.name);
  enum uj_queue_result result;
  uj_state(L);
  check_value(L, &callee);
  result = put(L, queue);
  if (result == UJ_QUEUE_CLOSED)
    return push_failure(L, "closed");
  if (result == UJ_QUEUE_WAIT)
    return push_failure(L, "full");
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- getting ----------------------------------------------------------- */

/* [-0, +1, -] Pushes the value of a job that has waited in put(), which is at
 * index 2 of that function's stack. */
static void take_over(struct uj_state *S, lua_State *L, struct uj_job *putter)
{
  lua_State *co = uj_nest_parked(S, uj_ljob_of(putter));
  lua_pushvalue(co, 2);
  lua_xmove(co, L, 1);
}

/* [-0, +1, -] Pushes the first value, if there is one. */
static enum uj_queue_result get(struct uj_state *S, lua_State *L,
                                struct lqueue *queue)
{
  struct uj_job *putter;
  enum uj_queue_result result = uj_queue_get(&queue->core, &putter);
  if (result == UJ_QUEUE_STORED)
    take(L, queue);
  if (putter != NULL)
    take_over(S, L, putter);
  if (putter != NULL && result == UJ_QUEUE_STORED)
    store(L, queue);
  trim(L, queue);
  return result;
}

/* The value is on the top: the job was handed it by whoever has put it. */
static int get_waited(lua_State *L, int status, lua_KContext ctx)
{
  enum uj_wake wake = uj_suspend_result(uj_suspend_state(L, ctx), L);
  (void)status;
  if (wake != UJ_WAKE_OK)
    return push_failure(L, wake == UJ_WAKE_CLOSED ? "closed" : "timeout");
  return 1;
}

static int get_until(struct uj_state *S, lua_State *L, struct lqueue *queue,
                     struct uj_ljob *caller, uint64_t span_ns)
{
  if (!uj_suspend_needed(caller)) {
    enum uj_queue_result result = get(S, L, queue);
    if (result == UJ_QUEUE_CLOSED)
      return push_failure(L, "closed");
    if (result != UJ_QUEUE_WAIT)
      return 1;
  }
  return uj_suspend(L, caller, &queue->core.getters, uj_suspend_due(S, span_ns),
                    UJ_LOP_GET, get_waited);
}

static int queue_get(lua_State *L)
{
  static const struct uj_callee callee = {"get", 1};
  struct uj_state *S = uj_state(L);
  struct lqueue *queue = check_self(L, callee.name);
  uint64_t span_ns = uj_arg_opt_seconds(L, &callee, 2, UJ_NEVER);
  return get_until(S, L, queue, uj_suspend_check(S, L, callee.name), span_ns);
}

static int queue_try_get(lua_State *L)
{
  struct lqueue *queue = check_self(L, "try_get");
  enum uj_queue_result result = get(uj_state(L), L, queue);
  if (result == UJ_QUEUE_CLOSED)
    return push_failure(L, "closed");
  return result == UJ_QUEUE_WAIT ? push_failure(L, "empty") : 1;
}

/* The iterator of items(); upvalue 2 is the queue. When the queue is closed and
 * empty the failure of get() is nil, which ends the loop. */
static int next_item(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  return get_until(S, L, check_self(L, "items"),
                   uj_suspend_check(S, L, "items"), UJ_NEVER);
}

static int queue_items(lua_State *L)
{
  check_self(L, "items");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_item, 2);
  return 1;
}

/* ---- the rest ---------------------------------------------------------- */

static int queue_close(lua_State *L)
{
  struct lqueue *queue;
  uj_state(L);
  queue = check_self(L, "close");
  uj_queue_close(&queue->core);
  if (queue->is_watched)
    wake_watchers(L, queue);
  return 0;
}

/* A job that waits for the queue has it on its stack, so it is not collected
 * then; unless somebody else has closed the coroutine of that job. */
static int queue_gc(lua_State *L)
{
  struct lqueue *queue = uj_object_to(L, 1, queue_tag);
  if (queue != NULL)
    uj_queue_close(&queue->core);
  return 0;
}

static int queue_len(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)check_self(L, "len")->core.count);
  return 1;
}

static int queue_tostring(lua_State *L)
{
  const struct lqueue *queue = check_self(L, "tostring");
  lua_pushfstring(L, QUEUE_TYPE ": %I %s%s", (LUAI_UACINT)queue->core.count,
                  queue->core.count == 1 ? "item" : "items",
                  queue->core.closed ? ", closed" : "");
  return 1;
}

static bool push_property(lua_State *L, const void *object, const char *key)
{
  const struct lqueue *queue = object;
  if (strcmp(key, "capacity") == 0)
    uj_arg_push_count(L, queue->core.capacity);
  else if (strcmp(key, "closed") == 0)
    lua_pushboolean(L, queue->core.closed);
  else
    return false;
  return true;
}

static int l_queue(lua_State *L)
{
  static const struct uj_callee callee = {"queue", 0};
  struct lqueue *queue;
  uint64_t capacity = UINT64_MAX;
  uj_state(L);
  if (!lua_isnoneornil(L, 1))
    capacity = uj_arg_count(L, &callee, 1, 0);
  queue = lua_newuserdatauv(L, sizeof(*queue), 1);
  uj_object_init_counted(&queue->object, queue_tag);
  uj_queue_init(&queue->core, capacity);
  queue->size = 0;
  queue->head = 0;
  queue->is_watched = false;
  luaL_setmetatable(L, QUEUE_TYPE);
  return 1;
}

void uj_lqueue_register(lua_State *L)
{
  static const char *const properties[] = {"capacity", "closed", NULL};
  static const luaL_Reg methods[] = {{"put", queue_put},
                                     {"get", queue_get},
                                     {"try_put", queue_try_put},
                                     {"try_get", queue_try_get},
                                     {"close", queue_close},
                                     {"items", queue_items},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__len", queue_len},
                                  {"__tostring", queue_tostring},
                                  {"__gc", queue_gc},
                                  {NULL, NULL}};
  static const struct uj_type type = {.tag = queue_tag,
                                      .methods = methods,
                                      .meta = meta,
                                      .property = push_property,
                                      .properties = properties,
                                      .counts_lookups = true};
  uj_object_register(L, &type);
}

const luaL_Reg uj_lqueue_functions[] = {{"queue", l_queue}, {NULL, NULL}};
