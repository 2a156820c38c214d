#include "lua/service/service.h"

#include <stdlib.h>

#include "crew/crew.h"
#include "crew/turns.h"
#include "loop/driver.h"
#include "loop/service.h"
#include "lua/api/work.h"
#include "lua/base/copy.h"
#include "lua/base/object.h"
#include "lua/service/resident.h"

#define SERVICE_TYPE "uvjobs.Service"
#define PACKED_TYPE "uvjobs.Packed"

/* Its user value is on_answer. */
struct service {
  struct uj_object object;
  struct uj_link all;           /* in uj_services::all while it has a thread */
  struct uj_service *thread;    /* owned; NULL when it was closed */
  struct uj_resident *resident; /* owned: what the thread runs */
  struct uj_state *S;
  uint64_t last;    /* number of the last request */
  uint32_t waiting; /* requests without an answer, which also uj_work counts */
  bool is_of_run;
};

static const char service_tag[] = SERVICE_TYPE;

/* Where the registry has a table with weak values: of each service that has a
 * thread, by its address. */
static const char services_key;

void uj_services_init(struct uj_state *S, lua_State *L)
{
  uj_link_init(&S->services->all);
  lua_pushnil(L);
  S->services->place = uj_hub_keep(S->hub, L);
  lua_pushnil(L);
  S->services->title = uj_hub_keep(S->hub, L);
  S->member = uj_resident_find_member(L);
}

/* ---- packed values ------------------------------------------------------- */

/* A value on its way to a thread. */
struct packed {
  struct uj_message *message; /* owned; NULL once it was sent */
};

/* pack(value) */
static int l_pack(lua_State *L)
{
  struct packed *self;
  lua_settop(L, 1);
  self = lua_newuserdatauv(L, sizeof(*self), 0);
  self->message = NULL;
  luaL_setmetatable(L, PACKED_TYPE);
  self->message = uj_resident_pack(L, 0, 1);
  return 1;
}

static int packed_gc(lua_State *L)
{
  struct packed *self = lua_touserdata(L, 1);
  uj_message_free(self->message);
  self->message = NULL;
  return 0;
}

/* ---- answers ------------------------------------------------------------- */

/* While a request has no answer the run is not stuck. */
static void count(struct service *self, int change)
{
  self->waiting += (uint32_t)change;
  self->S->work->waiting += (uint32_t)change;
  if (uj_resident_member(self->resident) != NULL)
    self->S->services->ninner += (uint32_t)change;
}

/* (service, message): calls on_answer. */
static int deliver(lua_State *L)
{
  struct service *self = lua_touserdata(L, 1);
  struct uj_message *message = lua_touserdata(L, 2);
  struct uj_buffer buffer = {.data = message->data, .size = message->size};
  struct uj_unpacker from;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &services_key);
  if (lua_rawgetp(L, -1, self) == LUA_TNIL)
    return 0;
  lua_getiuservalue(L, -1, 1);
  lua_pushinteger(L, (lua_Integer)message->id);
  uj_unpack_begin(L, &from, &buffer);
  uj_unpack(L, &from);
  lua_remove(L, from.made);
  lua_call(L, 2, 0);
  return 0;
}

static void hear(struct service *self, lua_State *L, struct uj_message *message)
{
  if (message->id != 0)
    count(self, -1);
  lua_pushcfunction(L, deliver);
  lua_pushlightuserdata(L, self);
  lua_pushlightuserdata(L, message);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK)
    uj_state_keep_error(self->S, L);
  uj_message_free(message);
}

/* on_answer can close a service: so after each answer it begins anew. */
static bool hear_one(struct uj_state *S, lua_State *L)
{
  struct uj_link *all = &S->services->all;
  for (struct uj_link *link = all->next; link != all; link = link->next) {
    struct service *self = uj_container(link, struct service, all);
    struct uj_message *message = uj_service_take_answer(self->thread);
    if (message != NULL) {
      hear(self, L, message);
      return true;
    }
  }
  return false;
}

/* ---- requests, in the thread --------------------------------------------- */

static bool has_requests(const struct uj_services *self)
{
  return self->inlet != NULL &&
         (uj_service_has_request(self->inlet) ||
          (!self->told_end && uj_service_ends(self->inlet)));
}

static void receive(struct uj_state *S, lua_State *L)
{
  S->services->told_end = uj_service_ends(S->services->inlet);
  uj_hub_push(S->hub, L, S->services->place);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK)
    uj_state_keep_error(S, L);
}

/* A loop of a crew is asked by members of it. */
static void count_inlet(struct uj_state *S, int change)
{
  S->work->waiting += (uint32_t)change;
  if (S->member != NULL)
    S->services->ninner += (uint32_t)change;
}

static void stop_serving(struct uj_state *S)
{
  struct uj_services *self = S->services;
  if (self->inlet == NULL)
    return;
  uj_service_wake_driver(self->inlet, NULL);
  self->inlet = NULL;
  uj_hub_clear(S->hub, self->place);
  count_inlet(S, -1);
}

void uj_services_push_title(struct uj_state *S, lua_State *L)
{
  uj_hub_push(S->hub, L, S->services->title);
  if (!lua_isstring(L, -1)) {
    lua_pop(L, 1);
    lua_pushliteral(L, "another thread");
  }
}

/* serve(mailbox, receive or nil [, title]) */
static int l_serve(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct uj_services *self = S->services;
  struct uj_service *inlet = uj_resident_mailbox(L, 1);
  stop_serving(S);
  uj_resident_note_state(L, 1, lua_isnoneornil(L, 2) ? NULL : S);
  if (lua_isnoneornil(L, 2))
    return 0;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (S->driver == NULL)
    return luaL_error(L, "serving begins in a job");
  lua_settop(L, 3);
  uj_hub_set(S->hub, L, self->title);
  uj_hub_set(S->hub, L, self->place);
  self->inlet = inlet;
  self->told_end = false;
  count_inlet(S, 1);
  uj_service_wake_driver(inlet, S->driver);
  return 0;
}

/* ---- news ---------------------------------------------------------------- */

bool uj_services_have_news(const struct uj_state *S)
{
  const struct uj_link *all = &S->services->all;
  for (struct uj_link *link = all->next; link != all; link = link->next)
    if (uj_service_has_answer(uj_container(link, struct service, all)->thread))
      return true;
  return has_requests(S->services);
}

void uj_services_hear(struct uj_state *S, lua_State *L)
{
  while (hear_one(S, L))
    ;
  if (has_requests(S->services))
    receive(S, L);
}

/* ---- beginning and end --------------------------------------------------- */

/* The thread needs turns to end. */
static void give_turns(struct service *self, struct uj_member *member)
{
  if (member == NULL || self->S->member == NULL || !uj_member_is_here(member))
    return;
  uj_service_finish(self->thread);
  uj_turns_await_leave(self->S->member, member);
}

static void end_thread(struct service *self)
{
  struct uj_member *member;
  if (self->thread == NULL)
    return;
  member = uj_resident_member(self->resident);
  uj_link_remove(&self->all);
  count(self, -(int)self->waiting);
  give_turns(self, member);
  uj_service_end(self->thread);
  uj_member_free(member);
  self->thread = NULL;
  uj_resident_free(self->resident);
  self->resident = NULL;
}

void uj_services_end_run(struct uj_state *S)
{
  struct uj_link *all = &S->services->all;
  struct uj_link *link = all->next;
  while (link != all) {
    struct service *self = uj_container(link, struct service, all);
    link = link->next;
    if (self->is_of_run)
      end_thread(self);
  }
}

void uj_services_term(struct uj_state *S)
{
  stop_serving(S);
}

static int service_gc(lua_State *L)
{
  end_thread(lua_touserdata(L, 1));
  return 0;
}

/* [-0, +1, m] Pushes a service without a thread. */
static struct service *push_service(struct uj_state *S, lua_State *L)
{
  struct service *self = lua_newuserdatauv(L, sizeof(*self), 1);
  *self = (struct service){.object = {service_tag}, .S = S};
  uj_link_init(&self->all);
  luaL_setmetatable(L, SERVICE_TYPE);
  return self;
}

/* [-0, +0, v] The loop in the thread is one of those that wait for this one. */
static void join_crew(struct service *self, lua_State *L)
{
  struct uj_member *member;
  if (self->S->member == NULL)
    luaL_error(L, "there is no crew");
  member = uj_crew_add(self->S->member);
  if (member == NULL)
    luaL_error(L, "not enough memory");
  uj_resident_join(self->resident, member);
}

/* Without its thread. */
static void leave_crew(struct service *self)
{
  struct uj_member *member = uj_resident_member(self->resident);
  if (member == NULL)
    return;
  uj_member_leave(member);
  uj_member_free(member);
  uj_resident_join(self->resident, NULL);
}

/* Stack: ..., service. */
static void start_thread(struct service *self, lua_State *L, bool is_member)
{
  int error;
  if (self->S->driver == NULL)
    luaL_error(L, "a service begins in a job");
  if (is_member)
    join_crew(self, L);
  error = uj_service_start(&self->thread, self->S->driver, uj_resident_run,
                           self->resident);
  if (error != 0)
    leave_crew(self);
  if (error != 0)
    luaL_error(L, "cannot make a thread: %s", uj_driver_strerror(error));
  uj_link_append(&self->S->services->all, &self->all);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &services_key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, self);
  lua_pop(L, 1);
}

/* Stack: module, argument, on_answer, is_of_run, memory limit, is_member. */
static int l_service(lua_State *L)
{
  struct uj_state *S = uj_state(L);
  struct service *self;
  luaL_checkstring(L, 1);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 6);
  self = push_service(S, L);
  self->is_of_run = lua_toboolean(L, 4);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, 1);
  self->resident = uj_resident_new();
  if (self->resident == NULL)
    return luaL_error(L, "not enough memory");
  uj_resident_limit(self->resident, (size_t)luaL_optinteger(L, 5, 0));
  uj_resident_give(self->resident, L, 1, 2);
  start_thread(self, L, lua_toboolean(L, 6));
  return 1;
}

/* ---- methods ------------------------------------------------------------- */

static struct service *check_open(lua_State *L, const char *name)
{
  struct service *self = uj_object_self(L, service_tag, name);
  if (self->thread == NULL)
    luaL_error(L, "the service is closed");
  if (!uj_service_is_here(self->thread))
    luaL_error(L, "the service runs in another process, from which this one "
                  "was forked");
  return self;
}

/* [-0, +1, -] Sends a request that is to be answered; pushes its number. */
static int send_request(lua_State *L, struct service *self,
                        struct uj_message *request)
{
  request->id = ++self->last;
  count(self, 1);
  uj_service_send(self->thread, request);
  lua_pushinteger(L, (lua_Integer)self->last);
  return 1;
}

static int service_ask(lua_State *L)
{
  struct service *self = check_open(L, "ask");
  lua_settop(L, 2);
  return send_request(L, self, uj_resident_pack(L, 0, 2));
}

static int service_send(lua_State *L)
{
  struct service *self = check_open(L, "send");
  struct packed *packed = luaL_checkudata(L, 2, PACKED_TYPE);
  struct uj_message *request = packed->message;
  luaL_argcheck(L, request != NULL, 2, "it was sent");
  packed->message = NULL;
  return send_request(L, self, request);
}

static int service_tell(lua_State *L)
{
  struct service *self = check_open(L, "tell");
  lua_settop(L, 2);
  uj_service_send(self->thread, uj_resident_pack(L, 0, 2));
  return 0;
}

static int service_finish(lua_State *L)
{
  uj_service_finish(check_open(L, "finish")->thread);
  return 0;
}

static int service_withdraw(lua_State *L)
{
  struct service *self = check_open(L, "withdraw");
  lua_Integer id = luaL_checkinteger(L, 2);
  struct uj_message *request = uj_service_withdraw(self->thread, (uint64_t)id);
  if (request != NULL)
    count(self, -1);
  uj_message_free(request);
  lua_pushboolean(L, request != NULL);
  return 1;
}

static int service_close(lua_State *L)
{
  end_thread(uj_object_self(L, service_tag, "close"));
  return 0;
}

void uj_service_register(lua_State *L)
{
  static const luaL_Reg methods[] = {{"ask", service_ask},
                                     {"send", service_send},
                                     {"tell", service_tell},
                                     {"withdraw", service_withdraw},
                                     {"finish", service_finish},
                                     {"close", service_close},
                                     {NULL, NULL}};
  static const luaL_Reg of_packed[] = {{"__gc", packed_gc}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", service_gc}, {NULL, NULL}};
  static const struct uj_type type = {
      .tag = service_tag, .methods = methods, .meta = meta};
  uj_object_register(L, &type);
  lua_pop(L, 1);
  luaL_newmetatable(L, PACKED_TYPE);
  luaL_setfuncs(L, of_packed, 0);
  lua_pop(L, 1);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_pushvalue(L, -1);
  lua_setmetatable(L, -2); /* it is its own metatable */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &services_key);
}

const luaL_Reg uj_service_internals[] = {
    {"pack", l_pack}, {"serve", l_serve}, {"service", l_service}, {NULL, NULL}};
