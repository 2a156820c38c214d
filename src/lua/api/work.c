#include "lua/api/work.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "loop/driver.h"
#include "lua/api/worker.h"
#include "lua/base/args.h"
#include "lua/base/options.h"
#include "lua/engine/body.h"
#include "lua/engine/suspend.h"
#include "lua/state/job.h"

#define CELL_TYPE "uvjobs.Work"

/* The request of a job that a function be called in another thread. It belongs
 * to the job's cell. When the job leaves before the function has ended, it
 * belongs to nobody, and is freed when the function ends. */
struct request {
  struct uj_call call;   /* first: the request is the call */
  struct uj_ljob *job;   /* that waits for the result, or NULL */
  struct uj_sent *heard; /* that is being given to `on_message`; or NULL */
  bool started;
  bool ended;
};

/* A to-be-closed variable of work(): the function is stopped however the job
 * leaves it. */
struct cell {
  struct request *request; /* NULL before there is one, and once it was left */
};

/* The stack of work(), before the arguments are packed into the request; the
 * first two stay. */
enum { AT_CELL = 1, AT_HANDLER, AT_FN };

static const struct uj_callee callee = {"work", 0};

/* ---- the request --------------------------------------------------------- */

/* Frees what the function has sent and nobody has taken. The function has
 * ended, so nothing more comes. */
static void free_said(struct request *self)
{
  struct uj_link *said = &self->call.task.said;
  while (self->started && !uj_link_empty(said)) {
    struct uj_link *link = said->next;
    uj_link_remove(link);
    uj_sent_free((struct uj_sent *)uj_container(link, struct uj_saying, link));
  }
  uj_sent_free(self->heard);
}

static void free_request(struct request *self)
{
  free_said(self);
  if (self->call.task.lost)
    uj_worker_abandon(&self->call);
  uj_buffer_free(&self->call.given);
  uj_buffer_free(&self->call.result);
  free(self->call.traceback);
  free(self);
}

/* The job waits no longer. */
static void forget_job(struct uj_state *S, struct request *self)
{
  if (self->job != NULL)
    S->work->waiting--;
  self->job = NULL;
}

/* Wakes the job if it waits in work(). While `on_message` runs it may wait for
 * something else, and looks for news itself afterwards. It may also be in
 * another work() that `on_message` has called, which is woken then, finds
 * nothing new and waits on. */
static void wake(struct uj_ljob *job)
{
  if (job->core.place == UJ_AT_WAIT && job->core.op == UJ_LOP_WORK)
    uj_job_wake(&job->core, UJ_WAKE_OK);
}

/* The function has ended. */
static void finish(struct uj_state *S, struct request *self)
{
  struct uj_ljob *job = self->job;
  forget_job(S, self);
  self->ended = true;
  if (job != NULL)
    wake(job);
  else
    free_request(self);
}

void uj_work_wake_ended(struct uj_state *S)
{
  struct uj_tasks *tasks = uj_driver_tasks(S->driver);
  struct uj_task *task;
  while ((task = uj_tasks_take_saying(tasks)) != NULL)
    if (((struct request *)task)->job != NULL)
      wake(((struct request *)task)->job);
  while ((task = uj_tasks_take_ended(tasks)) != NULL)
    finish(S, (struct request *)task);
}

uint64_t uj_work_count(const struct uj_state *S)
{
  return S->driver == NULL ? 0 : uj_tasks_count(uj_driver_tasks(S->driver));
}

void uj_work_end(struct uj_state *S)
{
  if (S->driver == NULL)
    return;
  for (int guest = 0; guest < UJ_GUESTS; guest++) /* they would end the waits */
    uj_driver_watch(S->driver, (enum uj_guest)guest, -1);
  uj_tasks_stop(uj_driver_tasks(S->driver));
  uj_work_wake_ended(S);
  while (uj_work_count(S) > 0) {
    uj_driver_wait(S->driver, UJ_NEVER);
    uj_work_wake_ended(S);
  }
  uj_workers_free(S->work->workers);
  S->work->workers = NULL;
}

/* (cell, error): its __close, and its __gc. */
static int cell_close(lua_State *L)
{
  struct cell *cell = lua_touserdata(L, 1);
  struct request *request = cell->request;
  struct uj_state *S = uj_state_registered(L);
  cell->request = NULL;
  if (request == NULL)
    return 0;
  forget_job(S, request);
  if (request->started && !request->ended)
    uj_task_stop(uj_driver_tasks(S->driver), &request->call.task);
  else
    free_request(request);
  return 0;
}

/* ---- what is given ------------------------------------------------------- */

/* [-0, +0, m] Packs a field of `package`; nil when it is no string. */
static void pack_path(struct uj_state *S, lua_State *L, struct uj_packer *into,
                      const char *field)
{
  int top = lua_gettop(L);
  uj_hub_push(S->hub, L, UJ_HUB_LOADED);
  lua_pushstring(L, LUA_LOADLIBNAME);
  lua_rawget(L, -2);
  lua_pushstring(L, field);
  if (!lua_istable(L, -2) || lua_rawget(L, -2) != LUA_TSTRING)
    lua_pushnil(L);
  uj_pack(L, into, -1);
  lua_settop(L, top);
}

/* Packs the arguments. A message numbers them as the caller did. */
static void pack_arguments(lua_State *L, struct uj_packer *into, int last)
{
  int before = lua_isnil(L, AT_HANDLER) ? 1 : 2; /* fn, maybe after options */
  for (int i = AT_FN + 1; i <= last; i++)
    if (!uj_pack(L, into, i))
      uj_arg_error(L, &callee, i - AT_FN + before, lua_tostring(L, -1));
}

/* [-0, +0, m] Packs what the call needs. Stack: cell, fn, arguments. */
static void pack(struct uj_state *S, lua_State *L, struct uj_call *call)
{
  struct uj_packer into;
  int last = lua_gettop(L);
  uj_pack_begin(L, &into, &call->given);
  luaL_checkstack(L, LUA_MINSTACK, callee.name);
  pack_path(S, L, &into, "path");
  pack_path(S, L, &into, "cpath");
  lua_pushvalue(L, AT_FN);
  uj_pack_function(L, &into);
  lua_pop(L, 1);
  pack_arguments(L, &into, last);
  call->nargs = last - AT_FN;
}

/* Only a function in Lua without upvalues, except for its globals, can be
 * copied. */
static void check_function(lua_State *L, int idx)
{
  const char *name;
  uj_arg_function(L, &callee, idx);
  if (lua_iscfunction(L, idx))
    uj_arg_error(L, &callee, idx, "Lua function expected, got a C function");
  for (int i = 1; (name = lua_getupvalue(L, idx, i)) != NULL; i++) {
    lua_pop(L, 1);
    if (strcmp(name, "_ENV") != 0)
      uj_arg_error(L, &callee, idx,
                   lua_pushfstring(L,
                                   "function without upvalues expected, got "
                                   "one that uses '%s'",
                                   name));
  }
}

/* ---- the call ------------------------------------------------------------ */

/* [-0, +n, m] Pushes the results. Stack: cell. */
static int push_results(lua_State *L, const struct uj_call *call)
{
  struct uj_unpacker from;
  uj_unpack_begin(L, &from, &call->result);
  luaL_checkstack(L, call->nresults, "too many results");
  for (int i = 0; i < call->nresults; i++)
    uj_unpack(L, &from);
  return call->nresults;
}

/* Stack: cell, handler. The function has ended: returns what it has returned,
 * or raises its error. */
static int finish_call(lua_State *L, const struct uj_call *call)
{
  struct uj_unpacker from;
  if (call->status == UJ_CALL_RETURNED)
    return push_results(L, call);
  if (call->task.lost)
    return luaL_error(L, "'work': the function runs in another process only, "
                         "from which this one was forked");
  if (call->status == UJ_CALL_NO_MEMORY)
    return luaL_error(L, "not enough memory");
  uj_unpack_begin(L, &from, &call->result);
  uj_unpack(L, &from);
  uj_body_note_beyond(uj_state(L), L, call->traceback);
  return lua_error(L);
}

/* [-0, +1+n, m] Pushes the handler and the values that were sent. Returns their
 * number. */
static int push_sent(lua_State *L, struct request *request)
{
  struct uj_sent *sent = request->heard;
  struct uj_unpacker from;
  int n = sent->n;
  luaL_checkstack(L, n + LUA_MINSTACK, "too many values");
  lua_settop(L, AT_HANDLER);
  uj_unpack_begin(L, &from, &sent->values);
  lua_pushvalue(L, AT_HANDLER);
  for (int i = 0; i < n; i++)
    uj_unpack(L, &from);
  lua_remove(L, from.made);
  request->heard = NULL;
  uj_sent_free(sent);
  return n;
}

static int worked(lua_State *L, int status, lua_KContext ctx);
static int handled(lua_State *L, int status, lua_KContext ctx);

/* Calls the handler for all that was sent, then returns; or suspends again. The
 * handler may suspend. Stack: cell, handler. */
static int go_on(struct uj_state *S, lua_State *L)
{
  struct request *request =
      ((struct cell *)lua_touserdata(L, AT_CELL))->request;
  struct uj_tasks *tasks = uj_driver_tasks(S->driver);
  while ((request->heard = (struct uj_sent *)uj_task_take_said(
              tasks, &request->call.task)) != NULL)
    lua_callk(L, push_sent(L, request), 0, 0, handled);
  lua_settop(L, AT_HANDLER);
  if (request->ended)
    return finish_call(L, &request->call);
  return uj_suspend(L, S->current, NULL, UJ_NEVER, UJ_LOP_WORK, worked);
}

/* The handler has suspended, and has returned now. */
static int handled(lua_State *L, int status, lua_KContext ctx)
{
  (void)status;
  (void)ctx;
  return go_on(uj_state(L), L);
}

static int worked(lua_State *L, int status, lua_KContext ctx)
{
  struct uj_state *S = uj_state(L);
  (void)status;
  (void)ctx;
  uj_suspend_result(S, L);
  return go_on(S, L);
}

/* [-0, +1, m] Pushes an empty cell. */
static struct cell *push_cell(lua_State *L)
{
  struct cell *cell = lua_newuserdatauv(L, sizeof(*cell), 0);
  cell->request = NULL;
  luaL_setmetatable(L, CELL_TYPE);
  return cell;
}

/* [-0, +0, m] Makes the request, which the cell has from the start. */
static struct request *make_request(struct uj_state *S, lua_State *L,
                                    struct cell *cell)
{
  if (S->work->workers == NULL)
    S->work->workers = uj_workers_new();
  cell->request = calloc(1, sizeof(*cell->request));
  if (S->work->workers == NULL || cell->request == NULL)
    luaL_error(L, "not enough memory");
  cell->request->call.task.run = uj_worker_run;
  cell->request->call.task.interrupt = uj_worker_interrupt;
  cell->request->call.workers = S->work->workers;
  cell->request->call.listens = lua_isfunction(L, AT_HANDLER);
  pack(S, L, &cell->request->call);
  return cell->request;
}

/* [-0, +0, m] */
static void start(struct uj_state *S, lua_State *L, struct request *request)
{
  int error = uj_task_start(uj_driver_tasks(S->driver), &request->call.task);
  if (error != 0)
    luaL_error(L, "cannot work: %s", uj_driver_strerror(error));
  request->started = true;
  request->job = S->current;
  S->work->waiting++;
}

static void take_on_message(lua_State *L,
                            const struct uj_options_table *options, void *into)
{
  (void)into;
  if (!lua_isfunction(L, -1))
    uj_option_error(L, options, "function");
}

/* [-0, +(0|1), m] Replaces the options at 1, if there are some, by the function
 * `on_message` or false. Otherwise puts nil there. */
static void take_options(lua_State *L)
{
  static const struct uj_option known[] = {{"on_message", take_on_message},
                                           {NULL, NULL}};
  if (!lua_istable(L, 1)) {
    lua_pushnil(L);
    lua_insert(L, 1);
    return;
  }
  uj_options_read(L, &callee, 1, known, NULL);
  lua_pushliteral(L, "on_message");
  if (lua_rawget(L, 1) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushboolean(L, 0);
  }
  lua_replace(L, 1);
}

/* work([options,] fn, ...) */
static int l_work(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_ljob *self;
  struct cell *cell;
  check_function(L, lua_istable(L, 1) ? 2 : 1);
  take_options(L);
  self = uj_suspend_check(S, L, callee.name);
  if (uj_suspend_needed(self)) /* nothing is started */
    return uj_suspend(L, self, NULL, UJ_NEVER, UJ_LOP_WORK,
                      uj_suspend_return_nothing);
  cell = push_cell(L);
  lua_insert(L, AT_CELL);
  lua_toclose(L, AT_CELL);
  start(S, L, make_request(S, L, cell));
  lua_settop(L, AT_HANDLER);
  return uj_suspend(L, self, NULL, UJ_NEVER, UJ_LOP_WORK, worked);
}

const luaL_Reg uj_work_functions[] = {{"work", l_work}, {NULL, NULL}};

void uj_work_register(lua_State *L)
{
  static const luaL_Reg meta[] = {
      {"__close", cell_close}, {"__gc", cell_close}, {NULL, NULL}};
  luaL_newmetatable(L, CELL_TYPE);
  luaL_setfuncs(L, meta, 0);
  lua_pop(L, 1);
}
