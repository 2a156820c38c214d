#include "lua/policy/gate.h"

#include "core/clock.h"
#include "core/job.h"
#include "core/loop.h"
#include "lua/base/args.h"
#include "lua/base/object.h"
#include "lua/base/seconds.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

#define GATE_TYPE "uvjobs.Gate"

static const char gate_tag[] = GATE_TYPE;

enum { UV_GATES = 1, UV_KEY };

/* No job waits while there is a free place. */
struct gate {
  struct uj_object object;
  struct uj_line line;
  uint64_t limit;
  uint64_t pending_limit;
  uint64_t most_wait_ns; /* UJ_NEVER: without a limit */
  uint64_t within;
  bool has_key; /* there are user values */
};

static struct gate *check_self(lua_State *L)
{
  return uj_object_self(L, gate_tag, "limit");
}

static void read_limits(lua_State *L, struct gate *gate, int idx)
{
  static const struct uj_callee callee = {"gate", 0};
  gate->limit = uj_arg_count(L, &callee, idx, 1);
  gate->pending_limit = uj_arg_count(L, &callee, idx + 1, 0);
  gate->most_wait_ns = uj_seconds_to_ns(luaL_checknumber(L, idx + 2));
}

/* (limit, pending_limit, most_wait [, gates, key]) */
static int l_gate(lua_State *L)
{
  bool has_key = lua_gettop(L) > 3;
  struct gate *gate = lua_newuserdatauv(L, sizeof(*gate), has_key ? UV_KEY : 0);
  gate->object.tag = gate_tag;
  gate->within = 0;
  gate->has_key = has_key;
  uj_line_init(&gate->line);
  read_limits(L, gate, 1);
  if (has_key) {
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, -2, UV_GATES);
    lua_pushvalue(L, 5);
    lua_setiuservalue(L, -2, UV_KEY);
  }
  luaL_setmetatable(L, GATE_TYPE);
  return 1;
}

/* A job that waits has the gate on its stack, unless somebody else has closed
 * the coroutine of that job. */
static int gate_gc(lua_State *L)
{
  struct gate *gate = uj_object_to(L, 1, gate_tag);
  if (gate != NULL)
    uj_waitq_close(&gate->line.waiters);
  return 0;
}

/* [-0, +1, -] Refuses a call because there is no place. */
static int refuse(lua_State *L)
{
  lua_pushboolean(L, 0);
  return 1;
}

/* Called when the wait has ended. A job that was woken for a place has it by
 * then: it was handed over. */
static int entered(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  if (uj_suspend_result(uj_state(L), L) == UJ_WAKE_TIMEOUT)
    return refuse(L);
  return 0;
}

/* Returns until when a job that comes now may wait. */
static uint64_t due_of(struct uj_state *S, const struct gate *gate)
{
  if (gate->most_wait_ns == UJ_NEVER)
    return UJ_NEVER;
  return uj_clock_add(uj_loop_now(&S->loop), gate->most_wait_ns);
}

/* (gate, name): false when there is no place. */
static int l_gate_enter(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct gate *gate = check_self(L);
  struct uj_ljob *job = uj_suspend_check(S, L, luaL_checkstring(L, 2));
  if (uj_suspend_needed(job))
    return uj_suspend(L, job, NULL, UJ_NEVER, UJ_LOP_LIMIT, entered);
  if (gate->within < gate->limit) {
    gate->within++;
    return 0;
  }
  if (gate->line.length >= gate->pending_limit || gate->most_wait_ns == 0)
    return refuse(L);
  uj_line_park(&gate->line, &job->core, due_of(S, gate), UJ_LOP_LIMIT);
  return lua_yieldk(L, 0, 0, entered);
}

/* [-0, +0, -] The last has left: the gate at index 1 goes out of its table,
 * where another of the same key may have taken its place. */
static void forget(lua_State *L)
{
  lua_getiuservalue(L, 1, UV_GATES);
  lua_getiuservalue(L, 1, UV_KEY);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) == LUA_TUSERDATA &&
      lua_touserdata(L, -1) == lua_touserdata(L, 1)) {
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_rawset(L, -3); /* it is there: so this needs no memory */
  }
}

/* Leaves the gate. This works outside of jobs, and while the Lua state closes.
 */
static int gate_close(lua_State *L)
{
  struct gate *gate = check_self(L);
  gate->within--;
  if (gate->within < gate->limit && uj_line_wake_one(&gate->line) != NULL)
    gate->within++;
  if (gate->within == 0 && gate->has_key)
    forget(L);
  return 0;
}

/* (gate, limit, pending_limit, most_wait) */
static int l_gate_set(lua_State *L)
{
  struct gate *gate = check_self(L);
  read_limits(L, gate, 2);
  while (gate->within < gate->limit && uj_line_wake_one(&gate->line) != NULL)
    gate->within++;
  return 0;
}

static int l_gate_counts(lua_State *L)
{
  const struct gate *gate = check_self(L);
  lua_pushinteger(L, (lua_Integer)gate->within);
  lua_pushinteger(L, (lua_Integer)gate->line.length);
  return 2;
}

void uj_gate_register(lua_State *L)
{
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__gc", gate_gc}, {"__close", gate_close}, {NULL, NULL}};
  static const struct uj_type type = {
      .tag = gate_tag, .methods = methods, .meta = meta};
  uj_object_register(L, &type);
  lua_pop(L, 1);
}

const luaL_Reg uj_gate_internals[] = {{"gate", l_gate},
                                      {"gate_enter", l_gate_enter},
                                      {"gate_set", l_gate_set},
                                      {"gate_counts", l_gate_counts},
                                      {NULL, NULL}};
