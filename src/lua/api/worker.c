#include "lua/api/worker.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "loop/stack.h"
#include "lua/api/tracked.h"
#include "lua/base/text.h"
#include "lua/channel/hear.h"
#include "lua/engine/ending.h"
#include "lua/state/state.h"

/* When a state has grown by this much, and to twice its size, its garbage is
 * collected before it becomes idle. */
enum { GROWTH_KB = 1024 };

struct worker {
  struct uj_link idle; /* in uj_workers::idle while it is */
  lua_State *L;
  struct uj_tracked tracked;         /* which of its coroutines runs */
  struct uj_state *volatile adopted; /* of uvjobs in that state, or NULL */
  struct uj_call *call; /* the call that it runs, which is borrowed; or NULL */
  struct worker *lost_before; /* see uj_worker_abandon() */
  int kept_kb;                /* its size after the last collection of tidy() */
};

/* The threads share it. */
struct uj_workers {
  struct uj_stack idle;
};

/* The registry of a worker's state has the worker at the address of this. */
static const char worker_key;

/* ---- stopping ------------------------------------------------------------ */

/* [-0, +0, -] The worker of a Lua state, or NULL. */
static struct worker *worker_of(lua_State *L)
{
  struct worker *self;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &worker_key);
  self = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return self;
}

static bool is_stopped(const struct worker *self)
{
  return self->call != NULL && uj_task_stopped(&self->call->task);
}

/* The error is raised at every instruction, so that a pcall which catches it
 * does not help. Coroutines that the function makes from now on inherit the
 * hook. The error is thrown like one for lack of memory: for that Lua calls no
 * message handler, which would run without hooks. */
static void stop_hook(lua_State *L, lua_Debug *ar)
{
  (void)ar;
  if (!is_stopped(worker_of(L))) { /* a coroutine that a module has kept */
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  lua_pushliteral(L, "not enough memory");
  lua_error(L);
}

/* Sets the hook on a coroutine that is about to run, or that runs now, when the
 * function is to stop. This is always called in the thread of the worker, but
 * maybe in a signal handler, from which lua_sethook() may be called. */
static void stop_if_asked(void *arg, lua_State *L)
{
  const struct worker *self = arg;
  if (is_stopped(self))
    lua_sethook(L, stop_hook, LUA_MASKCOUNT, 1);
}

void uj_worker_interrupt(struct uj_task *task)
{
  struct uj_call *call = (struct uj_call *)task;
  struct worker *worker = call->worker;
  if (worker != NULL && worker->tracked.running != NULL)
    stop_if_asked(worker, worker->tracked.running);
  if (worker != NULL && worker->adopted != NULL && is_stopped(worker))
    uj_ending_wake_stopped(worker->adopted);
}

static bool is_worker_stopped(void *arg)
{
  return is_stopped(arg);
}

bool uj_worker_adopt(lua_State *L, struct uj_state *S)
{
  struct worker *self = worker_of(L);
  if (self == NULL)
    return false;
  S->outer->is_stopped = is_worker_stopped;
  S->outer->arg = self;
  self->adopted = S;
  self->tracked.state = S;
  return true;
}

void uj_worker_disown(lua_State *L)
{
  struct worker *self = worker_of(L);
  if (self == NULL)
    return;
  self->adopted = NULL;
  self->tracked.state = NULL;
}

/* ---- sending ------------------------------------------------------------- */

void uj_sent_free(struct uj_sent *sent)
{
  if (sent != NULL)
    uj_buffer_free(&sent->values);
  free(sent);
}

/* (sent, ...): packs the values. */
static int pack_sent(lua_State *L)
{
  struct uj_sent *sent = lua_touserdata(L, 1);
  struct uj_packer into;
  int last = lua_gettop(L);
  uj_pack_begin(L, &into, &sent->values);
  for (int i = 2; i <= last; i++)
    if (!uj_pack(L, &into, i))
      luaL_error(L, "bad argument #%d to 'send' (%s)", i - 1,
                 lua_tostring(L, -1));
  sent->n = last - 1;
  return 0;
}

/* send(...): sends copies of the values to the job that waits in work(). When
 * the call is stopped the hook ends it after this. */
static int l_send(lua_State *L)
{
  struct uj_call *call = worker_of(L)->call;
  struct uj_sent *sent;
  if (!call->listens)
    return luaL_error(L, "'send': work has no option 'on_message'");
  sent = calloc(1, sizeof(*sent));
  if (sent == NULL)
    return luaL_error(L, "not enough memory");
  lua_pushcfunction(L, pack_sent);
  lua_insert(L, 1);
  lua_pushlightuserdata(L, sent);
  lua_insert(L, 2);
  if (lua_pcall(L, lua_gettop(L) - 1, 0, 0) != LUA_OK) {
    uj_sent_free(sent);
    return lua_error(L);
  }
  uj_link_init(&sent->saying.link);
  if (!uj_task_say(&call->task, &sent->saying))
    uj_sent_free(sent);
  return 0;
}

/* The loader of the module `uvjobs.worker`, which only worker states have. */
static int open_worker_module(lua_State *L)
{
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_send);
  lua_setfield(L, -2, "send");
  return 1;
}

/* ---- the state ----------------------------------------------------------- */

/* os.exit() would end the process in the middle of what other threads do. */
static int refuse_exit(lua_State *L)
{
  return luaL_error(L, "'os.exit' cannot be called in a function of work");
}

/* (worker) */
static int open_state(lua_State *L)
{
  struct worker *self = lua_touserdata(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &worker_key);
  luaL_openlibs(L);
  lua_getglobal(L, LUA_OSLIBNAME);
  lua_pushcfunction(L, refuse_exit);
  lua_setfield(L, -2, "exit");
  uj_tracked_open(L, &self->tracked);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_worker_module);
  lua_setfield(L, -2, "uvjobs.worker");
  return 0;
}

static struct worker *new_worker(void)
{
  struct worker *self = calloc(1, sizeof(*self));
  if (self == NULL)
    return NULL;
  self->tracked.enter = stop_if_asked;
  self->tracked.arg = self;
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
  uj_buffer_clear(&call->result);
  uj_pack_begin(L, &into, &call->result);
  if (!uj_pack(L, &into, 2)) {
    uj_buffer_clear(&call->result);
    uj_text_push(L, 2, "(error object is a %s value)");
    uj_pack_begin(L, &into, &call->result);
    uj_pack(L, &into, -2);
  }
  call->status = UJ_CALL_RAISED;
  return 0;
}

/* (worker): collects the garbage of a large call before the state is idle; and
 * that of one that had channels, because who waits for one of them is not found
 * stuck as long as another state has it. */
static int tidy(lua_State *L)
{
  struct worker *self = lua_touserdata(L, 1);
  bool has_channels =
      self->adopted != NULL && self->adopted->channels->nhandles > 0;
  if (!has_channels &&
      lua_gc(L, LUA_GCCOUNT) / 2 <= self->kept_kb + GROWTH_KB / 2)
    return 0;
  lua_gc(L, LUA_GCCOLLECT);
  self->kept_kb = lua_gc(L, LUA_GCCOUNT);
  return 0;
}

/* The message handler of a call: keeps where the error was raised. Without
 * memory for that nobody hears of it. */
static int keep_traceback(lua_State *L)
{
  struct worker *self = worker_of(L);
  const char *text;
  size_t size;
  if (self->call == NULL)
    return 1;
  luaL_traceback(L, L, NULL, 1);
  text = lua_tolstring(L, -1, &size);
  free(self->call->traceback);
  self->call->traceback = malloc(size + 1);
  if (self->call->traceback != NULL)
    memcpy(self->call->traceback, text, size + 1);
  lua_pop(L, 1);
  return 1;
}

/* Calls `fn` with a light userdata and the value on the top, if any. Returns
 * whether it returned. */
static bool call_protected(lua_State *L, lua_CFunction fn, void *arg)
{
  int nvalues = lua_gettop(L);
  bool ok;
  lua_pushcfunction(L, fn);
  lua_insert(L, 1);
  lua_pushlightuserdata(L, arg);
  lua_insert(L, 2);
  lua_pushcfunction(L, keep_traceback);
  lua_insert(L, 1);
  ok = lua_pcall(L, nvalues + 1, 0, 1) == LUA_OK;
  lua_remove(L, 1);
  return ok;
}

static void run_in(struct worker *worker, struct uj_call *call)
{
  lua_State *L = worker->L;
  worker->call = call;
  worker->tracked.running = L;
  call->worker = worker; /* from here on it can be interrupted */
  stop_if_asked(worker, L);
  if (!call_protected(L, run_call, call) && !is_stopped(worker))
    call_protected(L, keep_error, call);
  call->worker = NULL;
  worker->tracked.running = NULL;
  lua_sethook(L, NULL, 0, 0);
  lua_settop(L, 0);
  worker->call = NULL;
  call_protected(L, tidy, worker);
  lua_settop(L, 0);
}

/* In the child of a fork: the workers whose threads exist in the parent only.
 * What belongs to them may have been in the middle of a change at the fork, so
 * it can neither be used nor freed. It is kept here so that it is no leak. */
static _Atomic(struct worker *) lost;

void uj_worker_abandon(const struct uj_call *call)
{
  if (call->worker != NULL)
    call->worker->lost_before = atomic_exchange(&lost, call->worker);
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
