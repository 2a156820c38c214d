#include "lua/engine/inspecting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/end.h"
#include "inspect/copy.h"
#include "inspect/server.h"
#include "loop/driver.h"
#include "lua/base/backtrace.h"
#include "lua/base/seconds.h"
#include "lua/base/text.h"
#include "lua/engine/hook.h"
#include "lua/engine/nest.h"
#include "lua/engine/outside.h"
#include "lua/state/job.h"

void uj_inspecting_init(struct uj_state *S, lua_State *L)
{
  lua_pushnil(L);
  S->inspecting->answerer = uj_hub_keep(S->hub, L);
  lua_pushnil(L);
  S->inspecting->actor = uj_hub_keep(S->hub, L);
}

/* ---- in a copy ----------------------------------------------------------- */

/* What the copy is told, or needs itself. */
struct telling {
  struct uj_state *S;
  const struct uj_question *question;
  struct uj_ljob *job; /* the one that runs, or NULL */
  lua_State *running;  /* its coroutine that runs */
  uint64_t since_ns;
  bool outside;
};

static void set_flag(lua_State *L, const char *field, bool flag)
{
  lua_pushboolean(L, flag);
  lua_setfield(L, -2, field);
}

/* [-0, +1, m] Pushes where the job that runs stands. */
static void push_traceback(lua_State *L, const struct telling *self)
{
  if (self->outside)
    uj_backtrace_push(L, self->running, NULL, 0);
  else
    uj_nest_push_traceback(self->S, L, self->job, 1, NULL);
}

static void set_job(lua_State *L, const struct telling *self)
{
  uint64_t now_ns = uj_driver_now();
  uj_ljob_push(self->S, L, self->job);
  lua_setfield(L, -2, "job");
  if (self->running != NULL) {
    push_traceback(L, self);
    lua_setfield(L, -2, "traceback");
  }
  if (self->since_ns < now_ns) {
    uj_seconds_push(L, now_ns - self->since_ns);
    lua_setfield(L, -2, "held");
  }
}

/* (telling) */
static int tell_it(lua_State *L)
{
  const struct telling *self = lua_touserdata(L, 1);
  const struct uj_inspecting *inspecting = self->S->inspecting;
  const char *text;
  size_t n;
  uj_hub_push(self->S->hub, L, inspecting->answerer);
  lua_pushstring(L, self->question->text);
  lua_newtable(L);
  lua_pushinteger(L, (lua_Integer)inspecting->loop.number);
  lua_setfield(L, -2, "number");
  set_flag(L, "outside", self->outside);
  set_flag(L, "control", inspecting->options.control);
  set_flag(L, "values", inspecting->options.values);
  if (self->job != NULL)
    set_job(L, self);
  lua_call(L, 2, 1);
  text = luaL_checklstring(L, -1, &n);
  uj_copy_end(uj_copy_write(self->question->fd, text, n));
}

static void tell_error(lua_State *L, int fd)
{
  static const char before[] = "error\tthe look has failed: ";
  const char *text = uj_text_push(L, -1, "(%s without a text)");
  size_t n = strcspn(text, "\n");
  (void)(uj_copy_write(fd, before, sizeof(before) - 1) &&
         uj_copy_write(fd, text, n) && uj_copy_write(fd, "\n", 1));
}

/* What was allocated by the process stays as it is, and nothing is collected:
 * so no finalizer runs. From outside, the stack of the loop's thread is that of
 * another one: what it was doing there is over for this copy. */
static void tell(void *owner, const struct uj_question *question, bool outside)
{
  struct uj_state *S = owner;
  lua_State *L = outside ? S->hub : S->inspecting->L;
  struct telling self = {S,          question, S->current,
                         S->running, UJ_NEVER, outside};
  lua_gc(L, LUA_GCSTOP);
  lua_setallocf(L, uj_copy_alloc, NULL);
  self.since_ns = uj_watch_since(&S->watch);
  if (outside)
    L = lua_newthread(L);
  lua_pushcfunction(L, tell_it);
  lua_pushlightuserdata(L, &self);
  (void)uj_outside_pcall(S, L, 1);
  tell_error(L, question->fd);
}

/* ---- in the loop --------------------------------------------------------- */

static struct uj_ljob *find_job(struct uj_state *S, uint64_t id)
{
  for (uint32_t slot = 1; slot < S->jobs.next; slot++) {
    struct uj_ljob *job = uj_ljob_live(S, slot);
    if (job != NULL && job->core.id == id)
      return job;
  }
  return NULL;
}

/* Whether the rest of the question, which may be empty, means this loop. */
static bool means_us(const struct uj_state *S, const char *rest)
{
  char *end;
  unsigned long number;
  if (*rest == '\0')
    return true;
  if (strncmp(rest, " of ", strlen(" of ")) != 0)
    return false;
  number = strtoul(rest + strlen(" of "), &end, 10);
  return *end == '\0' && number == S->inspecting->loop.number;
}

/* "cancel 93", or "cancel 93 of 2" in loop 2 */
static const char *cancel(struct uj_state *S,
                          const struct uj_question *question)
{
  char *end;
  uint64_t id = strtoull(question->text + strlen("cancel "), &end, 10);
  struct uj_ljob *job;
  if (id == 0 || !means_us(S, end))
    return "the number of a job expected";
  if (!S->inspecting->options.control)
    return "the program does not allow it: run{ inspect = { control = true } }";
  job = find_job(S, id);
  if (job == NULL)
    return "there is no such job";
  uj_job_cancel(&job->core);
  return NULL;
}

static void keep_refusal(struct uj_state *S, const char *text)
{
  (void)snprintf(S->inspecting->refusal, sizeof(S->inspecting->refusal), "%s",
                 text);
}

/* (state, question) */
static int do_it(lua_State *L)
{
  struct uj_state *S = lua_touserdata(L, 1);
  const struct uj_question *question = lua_touserdata(L, 2);
  uj_hub_push(S->hub, L, S->inspecting->actor);
  lua_pushstring(L, question->text);
  lua_call(L, 1, 1);
  if (lua_type(L, -1) == LUA_TSTRING)
    keep_refusal(S, lua_tostring(L, -1));
  return 0;
}

static const char *act(void *owner, const struct uj_question *question)
{
  struct uj_state *S = owner;
  lua_State *L = S->inspecting->L;
  void *argument;
  memcpy(&argument, &question, sizeof(argument)); /* casts const away */
  if (strncmp(question->text, "cancel ", strlen("cancel ")) == 0)
    return cancel(S, question);
  keep_refusal(S, "");
  lua_pushcfunction(L, do_it);
  lua_pushlightuserdata(L, S);
  lua_pushlightuserdata(L, argument);
  if (uj_outside_pcall(S, L, 2) != LUA_OK) {
    keep_refusal(S, uj_text_push(L, -1, "(%s without a text)"));
    lua_pop(L, 2);
  }
  return S->inspecting->refusal[0] != '\0' ? S->inspecting->refusal : NULL;
}

/* What reads a file calls malloc(), whose lock another thread may have held
 * when the copy was made: so the modules are loaded before the first one is.
 * Where the loop does not come to that, the copy tries. What no copy can find
 * out is asked for here, too. */
static void prepare(struct uj_state *S, lua_State *L)
{
  uj_hub_push(S->hub, L, S->inspecting->answerer);
  if (uj_outside_pcall(S, L, 0) != LUA_OK)
    lua_pop(L, 1);
}

bool uj_inspecting_look(struct uj_state *S, lua_State *L)
{
  struct uj_inspecting *self = S->inspecting;
  uj_server_open_if_called();
  if (!atomic_load_explicit(&self->loop.asked, memory_order_relaxed))
    return false;
  self->L = L;
  prepare(S, L);
  uj_loops_answer(&self->loop);
  return true;
}

/* ---- beginning and end --------------------------------------------------- */

void uj_inspecting_start(struct uj_state *S)
{
  struct uj_inspecting *self = S->inspecting;
  int error;
  if (self->loop.added || self->options.off || S->driver == NULL)
    return;
  self->loop.owner = S;
  self->loop.driver = S->driver;
  self->loop.poke =
      S->hook->mode == UJ_INTERRUPT_SIGNAL ? &S->watch.poke : NULL;
  self->loop.watch = &S->watch;
  self->loop.tell = tell;
  self->loop.act = act;
  error = uj_server_add(&self->loop, self->options.at_once);
  if (error != 0 && self->options.at_once)
    uj_text_write_error("uvjobs: no socket for those who inspect: %s\n",
                        uj_driver_strerror(error));
}

void uj_inspecting_stop(struct uj_state *S)
{
  uj_server_remove(&S->inspecting->loop);
}

static int l_set_answerer(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  uj_hub_set(S->hub, L, S->inspecting->answerer);
  return 0;
}

static int l_set_actor(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  uj_hub_set(S->hub, L, S->inspecting->actor);
  return 0;
}

const luaL_Reg uj_inspecting_internals[] = {
    {"set_answerer", l_set_answerer}, {"set_actor", l_set_actor}, {NULL, NULL}};
