#include "lua/api/worker.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>

#include "loop/stack.h"
#include "lua/base/text.h"

/* In so many instructions the hook checks once whether to stop. */
enum { LOOK_EVERY = 1000 };

/* When a state has grown by this much, and to twice its size, its garbage is
 * collected before it becomes idle. */
enum { GROWTH_KB = 1024 };

struct worker {
  struct uj_link idle; /* in uj_workers::idle while it is */
  lua_State *L;
  struct uj_call *call; /* the call that it runs, which is borrowed; or NULL */
  int kept_kb;          /* its size after the last collection of tidy() */
};

/* The threads of the pool share it. */
struct uj_workers {
  struct uj_stack idle;
};

/* The registry of a worker's state has the worker at the address of this. */
static const char worker_key;

/* ---- the state ----------------------------------------------------------- */

/* os.exit() would wait for the threads of the pool, of which this is one. */
static int refuse_exit(lua_State *L)
{
  return luaL_error(L, "'os.exit' cannot be called in the thread pool");
}

/* (worker) */
static int open_state(lua_State *L)
{
  lua_rawsetp(L, LUA_REGISTRYINDEX, &worker_key);
  luaL_openlibs(L);
  lua_getglobal(L, LUA_OSLIBNAME);
  lua_pushcfunction(L, refuse_exit);
  lua_setfield(L, -2, "exit");
  return 0;
}

static struct worker *new_worker(void)
{
  struct worker *self = calloc(1, sizeof(*self));
  if (self == NULL)
    return NULL;
  self->L = luaL_newstate();
  if (self->L == NULL) {
    free(self);
    return NULL;
  }
  lua_pushcfunction(self->L, open_state);
  lua_pushlightuserdata(self->L, self);
  if (lua_pcall(self->L, 1, 0, 0) != LUA_OK) {
    lua_close(self->L);
    free(self);
    return NULL;
  }
  return self;
}

static void free_worker(struct worker *self)
{
  lua_close(self->L);
  free(self);
}

struct uj_workers *uj_workers_new(void)
{
  struct uj_workers *self = malloc(sizeof(*self));
  if (self != NULL && uj_stack_init(&self->idle) != 0) {
    free(self);
    self = NULL;
  }
  return self;
}

/* NULL when none is idle. */
static struct worker *pop_idle(struct uj_workers *self)
{
  struct uj_link *link = uj_stack_pop(&self->idle);
  return link == NULL ? NULL : uj_container(link, struct worker, idle);
}

void uj_workers_free(struct uj_workers *self)
{
  struct worker *worker;
  if (self == NULL)
    return;
  while ((worker = pop_idle(self)) != NULL)
    free_worker(worker);
  uj_stack_term(&self->idle);
  free(self);
}

/* ---- stopping ------------------------------------------------------------ */

static bool is_stopped(const struct worker *self)
{
  return self->call != NULL && uj_task_stopped(&self->call->task);
}

/* Coroutines that the function makes inherit this hook. Once the function has
 * to stop, the error is raised at every instruction, so that a pcall which
 * catches it does not help. The error is thrown like one for lack of memory:
 * for that Lua calls no message handler, which would run without hooks. */
static void stop_hook(lua_State *L, lua_Debug *ar)
{
  const struct worker *self;
  bool stopped;
  (void)ar;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &worker_key);
  self = lua_touserdata(L, -1);
  lua_pop(L, 1);
  stopped = is_stopped(self);
  if (stopped != (lua_gethookcount(L) == 1))
    lua_sethook(L, stop_hook, LUA_MASKCOUNT, stopped ? 1 : LOOK_EVERY);
  if (!stopped)
    return;
  lua_pushliteral(L, "not enough memory");
  lua_error(L);
}

/* ---- a call -------------------------------------------------------------- */

/* [-0, +0, m] Unpacks a value, and sets a field of `package` to it if it is a
 * string. */
static void set_path(lua_State *L, struct uj_unpacker *from, const char *field)
{
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_LOADLIBNAME);
  uj_unpack(L, from);
  if (lua_isstring(L, -1) && lua_istable(L, -2))
    lua_setfield(L, -2, field);
  lua_pop(L, lua_gettop(L) - from->made);
}

/* [-0, +0, m] Gives the function on the top an environment of its own: it reads
 * the globals of the state, but those that it sets do not stay in it. */
static void set_env(lua_State *L)
{
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushglobaltable(L);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  if (lua_setupvalue(L, -2, 1) == NULL)
    lua_pop(L, 1); /* the function uses no globals */
}

/* [-0, +1+nargs, m] Pushes the function and its arguments, and frees what they
 * were unpacked from. */
static void push_call(lua_State *L, struct uj_call *call)
{
  struct uj_unpacker from;
  luaL_checkstack(L, call->nargs + LUA_MINSTACK, "too many arguments");
  uj_unpack_begin(L, &from, &call->given);
  set_path(L, &from, "path");
  set_path(L, &from, "cpath");
  uj_unpack_function(L, &from);
  set_env(L);
  for (int i = 0; i < call->nargs; i++)
    uj_unpack(L, &from);
  lua_remove(L, from.made);
  uj_buffer_free(&call->given);
}

/* [-0, +1, m] Packs the results, which are on the stack from `first` on. */
static void keep_results(lua_State *L, struct uj_call *call, int first)
{
  struct uj_packer into;
  int last = lua_gettop(L);
  uj_pack_begin(L, &into, &call->result);
  for (int i = first; i <= last; i++)
    if (!uj_pack(L, &into, i))
      luaL_error(L, "'work': result #%d cannot be copied (%s)", i - first + 1,
                 lua_tostring(L, -1));
  call->nresults = last - first + 1;
  call->status = UJ_CALL_RETURNED;
}

/* (call) */
static int run_call(lua_State *L)
{
  struct uj_call *call = lua_touserdata(L, 1);
  push_call(L, call);
  lua_call(L, call->nargs, LUA_MULTRET);
  keep_results(L, call, 2);
  return 0;
}

/* (call, error) */
static int keep_error(lua_State *L)
{
  struct uj_call *call = lua_touserdata(L, 1);
  struct uj_packer into;
  call->result.size = 0;
  uj_pack_begin(L, &into, &call->result);
  if (!uj_pack(L, &into, 2)) {
    call->result.size = 0;
    uj_text_push(L, 2, "(error object is a %s value)");
    uj_pack_begin(L, &into, &call->result);
    uj_pack(L, &into, -2);
  }
  call->status = UJ_CALL_RAISED;
  return 0;
}

/* (worker): collects the garbage of a large call before the state is idle. */
static int tidy(lua_State *L)
{
  struct worker *self = lua_touserdata(L, 1);
  if (lua_gc(L, LUA_GCCOUNT) / 2 <= self->kept_kb + GROWTH_KB / 2)
    return 0;
  lua_gc(L, LUA_GCCOLLECT);
  self->kept_kb = lua_gc(L, LUA_GCCOUNT);
  return 0;
}

/* Calls `fn` with a light userdata and the value on the top, if any. Returns
 * whether it returned. */
static bool call_protected(lua_State *L, lua_CFunction fn, void *arg)
{
  int nvalues = lua_gettop(L);
  lua_pushcfunction(L, fn);
  lua_insert(L, 1);
  lua_pushlightuserdata(L, arg);
  lua_insert(L, 2);
  return lua_pcall(L, nvalues + 1, 0, 0) == LUA_OK;
}

static void run_in(struct worker *worker, struct uj_call *call)
{
  lua_State *L = worker->L;
  worker->call = call;
  lua_sethook(L, stop_hook, LUA_MASKCOUNT, LOOK_EVERY);
  if (!call_protected(L, run_call, call) && !is_stopped(worker))
    call_protected(L, keep_error, call);
  lua_settop(L, 0);
  worker->call = NULL;
  call_protected(L, tidy, worker);
  lua_settop(L, 0);
}

void uj_worker_run(struct uj_task *task)
{
  struct uj_call *call = (struct uj_call *)task;
  struct worker *worker = pop_idle(call->workers);
  if (worker == NULL)
    worker = new_worker();
  if (worker == NULL)
    return;
  run_in(worker, call);
  uj_stack_push(&call->workers->idle, &worker->idle);
}
