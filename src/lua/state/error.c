#include "lua/state/error.h"

#include <string.h>

#include "loop/signals.h"
#include "lua/state/job.h"

#define ERROR_TYPE "uvjobs.Error"

struct error {
  struct uj_object object;
  enum uj_code code;
  short signal; /* because of which the job was cancelled; 0 for none */
  bool is_made; /* it is the beginning of a struct made_error */
};

/* An error that a module in Lua has made. */
struct made_error {
  struct error error;
  double retry_after_s; /* negative for none */
};

/* The user values; an error that was not made has the first one only. */
enum { UV_JOB = 1, UV_COUNT = 1, UV_TEXT, UV_CAUSE, UV_COUNT_MADE = 3 };

/* Where the registry keeps the notes of errors, and what they say is stored, in
 * tables with weak keys. A place for them in each error would make cancelling a
 * job dearer by 3 %. */
static const char notes_key, stored_key;

static const char error_tag[] = ERROR_TYPE;

static const char *const code_names[] = {
    [UJ_CODE_CANCELLED] = "cancelled", [UJ_CODE_TIMEOUT] = "timeout",
    [UJ_CODE_KILLED] = "killed",       [UJ_CODE_CLOSED] = "closed",
    [UJ_CODE_FULL] = "full",           [UJ_CODE_OPEN] = "open",
    [UJ_CODE_LIMITED] = "limited",     [UJ_CODE_INTENSITY] = "intensity",
    [UJ_CODE_LOST] = "lost",           [UJ_CODE_UNAVAILABLE] = "unavailable",
    [UJ_CODE_CORRUPT] = "corrupt",     [UJ_CODE_MEMORY] = "memory",
};

static struct error *to_error(lua_State *L, int idx)
{
  return uj_object_to(L, idx, error_tag);
}

void uj_error_new(lua_State *L, enum uj_code code)
{
  struct error *error = lua_newuserdatauv(L, sizeof(*error), UV_COUNT);
  error->object.tag = error_tag;
  error->code = code;
  error->signal = 0;
  error->is_made = false;
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, UV_JOB);
  luaL_setmetatable(L, ERROR_TYPE);
}

int uj_error_raise(lua_State *L, enum uj_code code)
{
  uj_error_new(L, code);
  return lua_error(L);
}

bool uj_error_is(lua_State *L, int idx, enum uj_code code, const void *job)
{
  const struct error *error = to_error(L, idx);
  bool same;
  if (error == NULL || error->code != code)
    return false;
  lua_getiuservalue(L, idx, UV_JOB);
  same = lua_touserdata(L, -1) == job;
  lua_pop(L, 1);
  return same;
}

void uj_error_set_signal(lua_State *L, int idx, int number)
{
  struct error *error = to_error(L, idx);
  if (error != NULL)
    error->signal = (short)number;
}

/* [-0, +1, m] Pushes the label of the error's job, or "operation" if it has
 * none. */
static void push_subject(lua_State *L, int idx)
{
  lua_getiuservalue(L, idx, UV_JOB);
  if (lua_isnil(L, -1))
    lua_pushliteral(L, "operation");
  else
    uj_ljob_push_label(L, lua_gettop(L));
  lua_remove(L, -2);
}

/* [-1, +1, m] Adds the note of the error at idx to the text on the top. */
static void add_note(lua_State *L, int idx)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &notes_key);
  lua_pushvalue(L, idx);
  if (lua_rawget(L, -2) == LUA_TSTRING)
    lua_pushfstring(L, "%s\n%s", lua_tostring(L, -3), lua_tostring(L, -1));
  else
    lua_pushvalue(L, -3);
  lua_replace(L, -4);
  lua_pop(L, 2);
}

/* [-0, +1, m] Pushes what errors with the code of the one at idx say. */
static void push_message_of_code(lua_State *L, int idx,
                                 const struct error *error)
{
  static const char *const formats[] = {
      [UJ_CODE_CANCELLED] = "%s was cancelled",
      [UJ_CODE_TIMEOUT] = "%s timed out",
      [UJ_CODE_KILLED] = "%s was killed: it outstayed its close timeout",
      [UJ_CODE_CLOSED] = "the scheduler is closed",
      [UJ_CODE_FULL] = "the scheduler's pending queue is full",
  };
  push_subject(L, idx);
  lua_pushfstring(L, formats[error->code], lua_tostring(L, -1));
  if (error->signal != 0) {
    lua_pushfstring(L, " by %s", uj_signals_name(error->signal));
    lua_concat(L, 2);
  }
  lua_remove(L, -2);
}

/* [-0, +1, m] Pushes the message of the error at idx. */
static void push_message(lua_State *L, int idx, const struct error *error)
{
  if (error->is_made)
    lua_getiuservalue(L, idx, UV_TEXT);
  else
    push_message_of_code(L, idx, error);
  add_note(L, idx);
}

static int error_tostring(lua_State *L)
{
  const struct error *error = uj_object_self(L, error_tag, "tostring");
  push_message(L, 1, error);
  return 1;
}

/* [-0, +1, m] Pushes a property that only errors have that were made, of the
 * one at index 1. */
static void push_made_property(lua_State *L, const struct error *error,
                               const char *key)
{
  double retry_after_s = ((const struct made_error *)error)->retry_after_s;
  if (strcmp(key, "cause") == 0)
    lua_getiuservalue(L, 1, UV_CAUSE);
  else if (strcmp(key, "retry_after") == 0 && retry_after_s >= 0)
    lua_pushnumber(L, retry_after_s);
  else
    lua_pushnil(L);
}

/* [-0, +1, -] Pushes what the error at index 1 says is stored, or nil. */
static void push_stored(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &stored_key);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
}

static int error_index(lua_State *L)
{
  const struct error *error = to_error(L, 1);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (error == NULL)
    return 0;
  if (strcmp(key, "code") == 0)
    lua_pushstring(L, code_names[error->code]);
  else if (strcmp(key, "message") == 0)
    push_message(L, 1, error);
  else if (strcmp(key, "job") == 0)
    lua_getiuservalue(L, 1, UV_JOB);
  else if (strcmp(key, "signal") == 0 && error->signal != 0)
    lua_pushstring(L, uj_signals_name(error->signal));
  else if (strcmp(key, "stored") == 0)
    push_stored(L);
  else if (error->is_made)
    push_made_property(L, error, key);
  else
    lua_pushnil(L);
  return 1;
}

/* [-0, +0, m] Makes a table with weak keys, which is its own metatable. */
static void register_weak(lua_State *L, const char *key)
{
  lua_newtable(L);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_pushvalue(L, -1);
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void uj_error_register(lua_State *L)
{
  static const luaL_Reg meta[] = {
      {"__tostring", error_tostring}, {"__index", error_index}, {NULL, NULL}};
  luaL_newmetatable(L, ERROR_TYPE);
  luaL_setfuncs(L, meta, 0);
  lua_pop(L, 1);
  register_weak(L, &notes_key);
  register_weak(L, &stored_key);
}

static int l_code(lua_State *L)
{
  const struct error *error = to_error(L, 1);
  if (error == NULL)
    lua_pushnil(L);
  else
    lua_pushstring(L, code_names[error->code]);
  return 1;
}

static int l_codes(lua_State *L)
{
  int count = (int)(sizeof(code_names) / sizeof(code_names[0]));
  uj_object_push_words(L, code_names, count);
  return 1;
}

static int l_annotate(lua_State *L)
{
  if (to_error(L, 1) == NULL)
    return luaL_typeerror(L, 1, ERROR_TYPE);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &notes_key);
  lua_insert(L, 1);
  lua_rawset(L, 1);
  return 0;
}

static int l_set_stored(lua_State *L)
{
  if (to_error(L, 1) == NULL)
    return luaL_typeerror(L, 1, ERROR_TYPE);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &stored_key);
  lua_insert(L, 1);
  lua_rawset(L, 1);
  return 0;
}

static enum uj_code check_code(lua_State *L, int idx)
{
  const char *name = luaL_checkstring(L, idx);
  int count = (int)(sizeof(code_names) / sizeof(code_names[0]));
  for (int code = 0; code < count; code++)
    if (strcmp(name, code_names[code]) == 0)
      return (enum uj_code)code;
  return (enum uj_code)luaL_argerror(L, idx, "no code of an error");
}

/* Stack: code, text, retry_after, cause. */
static int l_make_error(lua_State *L)
{
  enum uj_code code = check_code(L, 1);
  double retry_after_s = luaL_optnumber(L, 3, -1);
  struct made_error *made;
  luaL_checkstring(L, 2);
  lua_settop(L, 4);
  made = lua_newuserdatauv(L, sizeof(*made), UV_COUNT_MADE);
  made->error = (struct error){{error_tag}, code, 0, true};
  made->retry_after_s = retry_after_s;
  lua_insert(L, 2);
  lua_setiuservalue(L, 2, UV_CAUSE);
  lua_pop(L, 1);
  lua_setiuservalue(L, 2, UV_TEXT);
  luaL_setmetatable(L, ERROR_TYPE);
  return 1;
}

const luaL_Reg uj_error_functions[] = {{"code", l_code}, {NULL, NULL}};

const luaL_Reg uj_error_internals[] = {{"annotate", l_annotate},
                                       {"codes", l_codes},
                                       {"make_error", l_make_error},
                                       {"set_stored", l_set_stored},
                                       {NULL, NULL}};
