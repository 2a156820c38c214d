#include "lua/service/resident.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <time.h>

#include "channel/shared.h"
#include "core/clock.h"
#include "crew/crew.h"
#include "crew/turns.h"
#include "loop/service.h"
#include "lua/base/copy.h"
#include "lua/base/text.h"
#include "lua/service/limit.h"

#define MAILBOX_TYPE "uvjobs.Mailbox"
#define MS_PER_S 1000

/* A wait is at most so long. */
enum { LONGEST_MS = 60000 };

/* The registry of the Lua state has the member at the address of this. */
static const char member_key;

struct uj_resident {
  struct uj_buffer given; /* path, cpath, module, argument */
  struct uj_memory_limit memory;
  struct uj_member *member; /* borrowed; or NULL */
};

struct uj_resident *uj_resident_new(void)
{
  return calloc(1, sizeof(struct uj_resident));
}

void uj_resident_free(struct uj_resident *self)
{
  if (self == NULL)
    return;
  uj_buffer_free(&self->given);
  free(self);
}

void uj_resident_limit(struct uj_resident *self, size_t limit)
{
  self->memory.limit = limit;
}

void uj_resident_join(struct uj_resident *self, struct uj_member *member)
{
  self->member = member;
}

struct uj_member *uj_resident_member(const struct uj_resident *self)
{
  return self->member;
}

struct uj_member *uj_resident_find_member(lua_State *L)
{
  struct uj_member *member;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &member_key);
  member = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return member;
}

/* ---- what is given ------------------------------------------------------- */

/* [-0, +0, m] */
static void pack_or_raise(lua_State *L, struct uj_packer *into, int idx)
{
  if (!uj_pack(L, into, idx))
    lua_error(L);
}

void uj_resident_give(struct uj_resident *self, lua_State *L, int module,
                      int argument)
{
  struct uj_packer into;
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, "service");
  uj_pack_begin(L, &into, &self->given);
  into.never_carry = true;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_LOADLIBNAME);
  lua_getfield(L, -1, "path");
  pack_or_raise(L, &into, -1);
  lua_getfield(L, -2, "cpath");
  pack_or_raise(L, &into, -1);
  pack_or_raise(L, &into, module);
  pack_or_raise(L, &into, argument);
  lua_settop(L, top);
}

/* (buffer, value) */
static int pack(lua_State *L)
{
  struct uj_packer into;
  uj_pack_begin(L, &into, lua_touserdata(L, 1));
  pack_or_raise(L, &into, 2);
  return 0;
}

struct uj_message *uj_resident_pack(lua_State *L, uint64_t id, int idx)
{
  struct uj_buffer buffer = {0};
  struct uj_message *message = NULL;
  lua_pushvalue(L, idx);
  lua_pushcfunction(L, pack);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, &buffer);
  lua_insert(L, -2);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
    uj_buffer_free(&buffer);
    lua_error(L);
  }
  message = uj_message_new(id, buffer.data, buffer.size);
  if (message == NULL) {
    uj_buffer_free(&buffer);
    luaL_error(L, "not enough memory");
  }
  message->carried = buffer.carried;
  message->drop = uj_carried_drop;
  return message;
}

/* ---- the mailbox --------------------------------------------------------- */

struct mailbox {
  struct uj_service *service; /* both are borrowed, and outlive the state */
  struct uj_resident *resident;
};

struct uj_service *uj_resident_mailbox(lua_State *L, int idx)
{
  const struct mailbox *mailbox = luaL_checkudata(L, idx, MAILBOX_TYPE);
  return mailbox->service;
}

void uj_resident_note_state(lua_State *L, int idx, const struct uj_state *S)
{
  const struct mailbox *mailbox = luaL_checkudata(L, idx, MAILBOX_TYPE);
  mailbox->resident->memory.S = S;
}

/* wait([fd [, seconds]]) */
static int mailbox_wait(lua_State *L)
{
  struct uj_service *service = uj_resident_mailbox(L, 1);
  int fd = (int)luaL_optinteger(L, 2, -1);
  double ms = luaL_optnumber(L, 3, (double)LONGEST_MS / MS_PER_S) * MS_PER_S;
  if (!(ms >= 0))
    ms = 0;
  lua_pushboolean(
      L, uj_service_wait(service, fd, ms < LONGEST_MS ? (int)ms : LONGEST_MS));
  return 1;
}

/* (message): returns the value. */
static int unpack(lua_State *L)
{
  const struct uj_message *message = lua_touserdata(L, 1);
  struct uj_buffer buffer = {.data = message->data, .size = message->size};
  struct uj_unpacker from;
  uj_unpack_begin(L, &from, &buffer);
  uj_unpack(L, &from);
  return 1;
}

static int mailbox_receive(lua_State *L)
{
  struct uj_message *message = uj_service_receive(uj_resident_mailbox(L, 1));
  int status;
  if (message == NULL)
    return 0;
  lua_pushinteger(L, (lua_Integer)message->id);
  lua_pushcfunction(L, unpack);
  lua_pushlightuserdata(L, message);
  status = lua_pcall(L, 1, 1, 0);
  uj_message_free(message);
  return status == LUA_OK ? 2 : lua_error(L);
}

static int mailbox_answer(lua_State *L)
{
  struct uj_service *service = uj_resident_mailbox(L, 1);
  uint64_t id = (uint64_t)luaL_checkinteger(L, 2);
  lua_settop(L, 3);
  uj_service_answer(service, uj_resident_pack(L, id, 3));
  return 0;
}

/* How many seconds the thread has computed. */
static int mailbox_cpu_time(lua_State *L)
{
  struct timespec time = {0, 0};
  (void)uj_resident_mailbox(L, 1);
  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  lua_pushnumber(L, (lua_Number)time.tv_sec + (lua_Number)time.tv_nsec / 1e9);
  return 1;
}

static int mailbox_ends(lua_State *L)
{
  lua_pushboolean(L, uj_service_ends(uj_resident_mailbox(L, 1)));
  return 1;
}

/* [-0, +1, m] Pushes the mailbox. */
static void push_mailbox(lua_State *L, struct uj_service *service,
                         struct uj_resident *resident)
{
  static const luaL_Reg methods[] = {
      {"wait", mailbox_wait},         {"receive", mailbox_receive},
      {"answer", mailbox_answer},     {"ends", mailbox_ends},
      {"cpu_time", mailbox_cpu_time}, {NULL, NULL}};
  struct mailbox *mailbox = lua_newuserdatauv(L, sizeof(*mailbox), 0);
  *mailbox = (struct mailbox){service, resident};
  luaL_newmetatable(L, MAILBOX_TYPE);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

/* ---- the thread ---------------------------------------------------------- */

/* [-0, +0, m] Sets a field of `package`. */
static void set_path(lua_State *L, struct uj_unpacker *from, const char *field)
{
  lua_getglobal(L, LUA_LOADLIBNAME);
  uj_unpack(L, from);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

/* [-0, +0, m] Under the virtual clock nothing is left to chance. */
static void seed_random(lua_State *L, const struct uj_member *member)
{
  lua_getglobal(L, LUA_MATHLIBNAME);
  lua_getfield(L, -1, "randomseed");
  lua_pushinteger(L, (lua_Integer)uj_member_seed(member));
  lua_call(L, 1, 0);
  lua_pop(L, 1);
}

/* [-0, +0, m] */
static void join(lua_State *L, struct uj_member *member)
{
  if (member == NULL)
    return;
  lua_pushlightuserdata(L, member);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &member_key);
  if (uj_turns_are_taken(member))
    seed_random(L, member);
}

/* (resident, service) */
static int live(lua_State *L)
{
  struct uj_resident *self = lua_touserdata(L, 1);
  struct uj_service *service = lua_touserdata(L, 2);
  struct uj_unpacker from;
  luaL_openlibs(L);
  join(L, self->member);
  uj_unpack_begin(L, &from, &self->given);
  set_path(L, &from, "path");
  set_path(L, &from, "cpath");
  lua_getglobal(L, "require");
  uj_unpack(L, &from);
  lua_call(L, 1, 1);
  push_mailbox(L, service, self);
  uj_unpack(L, &from);
  lua_call(L, 2, 0);
  return 0;
}

/* The message handler. */
static int add_traceback(lua_State *L)
{
  luaL_traceback(L, L, uj_text_push(L, 1, "(error object is a %s value)"), 1);
  return 1;
}

/* (service, id, text) */
static int answer_failure(lua_State *L)
{
  uint64_t id = (uint64_t)lua_tointeger(L, 2);
  uj_service_answer(lua_touserdata(L, 1), uj_resident_pack(L, id, 3));
  return 0;
}

static bool has_request(void *service)
{
  return uj_service_has_request(service) || uj_service_ends(service);
}

static void await_turn(struct uj_member *member)
{
  struct uj_pass pass = {.now_ns = uj_turns_now(member), .due_ns = UJ_NEVER};
  uj_turns_pass(member, &pass);
  uj_turns_take(member);
}

/* Waits until there are requests, or the thread is to end. */
static void await_request(struct uj_member *member, struct uj_service *service)
{
  struct uj_member_host host = {has_request, NULL, service};
  if (member == NULL) {
    (void)uj_service_wait(service, -1, LONGEST_MS);
    return;
  }
  uj_member_set_host(member, &host);
  if (uj_turns_are_taken(member)) {
    await_turn(member);
    return;
  }
  uj_member_rest(member, UJ_MEMBER_HAS_NONE);
  (void)uj_service_wait(service, -1, LONGEST_MS);
  (void)uj_member_rise(member);
}

/* The function has failed, with the text on the top: that is the answer to all
 * requests. Without memory for an answer nobody gets one. */
static void answer_failures(lua_State *L, struct uj_service *service,
                            struct uj_member *member)
{
  int text = lua_gettop(L);
  while (!uj_service_ends(service)) {
    struct uj_message *request = uj_service_receive(service);
    if (request == NULL) {
      await_request(member, service);
      continue;
    }
    lua_pushcfunction(L, answer_failure);
    lua_pushlightuserdata(L, service);
    lua_pushinteger(L, (lua_Integer)request->id);
    lua_pushvalue(L, text);
    uj_message_free(request);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK)
      lua_pop(L, 1);
  }
}

static void run(struct uj_resident *self, struct uj_service *service)
{
  lua_State *L = uj_memory_limit_new_state(&self->memory);
  if (L == NULL)
    return;
  lua_pushcfunction(L, add_traceback);
  lua_pushcfunction(L, live);
  lua_pushlightuserdata(L, self);
  lua_pushlightuserdata(L, service);
  if (lua_pcall(L, 2, 0, 1) != LUA_OK)
    answer_failures(L, service, self->member);
  lua_close(L);
}

void uj_resident_run(struct uj_service *service, void *resident)
{
  struct uj_resident *self = resident;
  struct uj_member *member = self->member;
  if (member != NULL && uj_turns_are_taken(member))
    uj_turns_take(member);
  run(self, service);
  if (member != NULL)
    uj_member_leave(member);
}
