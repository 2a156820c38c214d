#include "lua/insight/asking.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "inspect/client.h"
#include "inspect/terminal.h"
#include "lua/base/seconds.h"

static const struct {
  int number;
  const char *name;
} names[] = {
    {ENOENT, "ENOENT"}, {ECONNREFUSED, "ECONNREFUSED"},
    {EACCES, "EACCES"}, {EPERM, "EPERM"},
    {ESRCH, "ESRCH"},   {EAGAIN, "ETIMEDOUT"},
    {ENOSYS, "ENOSYS"},
};

/* [-0, +3, m] */
static int push_error(lua_State *L, int number)
{
  const char *name = "UNKNOWN";
  for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
    if (names[i].number == number)
      name = names[i].name;
  lua_pushnil(L);
  lua_pushstring(L, name);
  lua_pushstring(L, strerror(number));
  return 3;
}

/* ---- a question ---------------------------------------------------------- */

/* Whether the last line is there; `text` has n bytes. */
static bool is_whole(const char *text, size_t n)
{
  size_t begin = n - 1;
  if (n == 0 || text[n - 1] != '\n')
    return false;
  while (begin > 0 && text[begin - 1] != '\n')
    begin--;
  return (n - begin == 4 && memcmp(text + begin, "end\n", 4) == 0) ||
         (n - begin > 6 && memcmp(text + begin, "error\t", 6) == 0);
}

/* [-0, +(1|3), m] */
static int push_answer(lua_State *L, int fd)
{
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (;;) {
    ssize_t n = uj_client_receive(fd, luaL_prepbuffer(&b), LUAL_BUFFERSIZE);
    if (n < 0) {
      luaL_pushresult(&b);
      return push_error(L, (int)-n);
    }
    luaL_addsize(&b, (size_t)n);
    if (n == 0 || is_whole(luaL_buffaddr(&b), luaL_bufflen(&b)))
      break;
  }
  luaL_pushresult(&b);
  return 1;
}

/* (fd, question) */
static int ask_by(lua_State *L)
{
  int fd = (int)lua_tointeger(L, 1);
  size_t n;
  const char *text = lua_tolstring(L, 2, &n);
  int error = uj_client_send(fd, text, n);
  if (error == 0)
    error = uj_client_send(fd, "\n", 1);
  return error == 0 ? push_answer(L, fd) : push_error(L, -error);
}

/* ask(path, question, seconds[, user]) */
static int l_ask(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  double seconds = luaL_checknumber(L, 3);
  uid_t user = (uid_t)luaL_optinteger(L, 4, (lua_Integer)geteuid());
  int fd, status;
  luaL_checkstring(L, 2);
  lua_settop(L, 3);
  fd = uj_client_connect(path, uj_seconds_to_ns(seconds), user);
  if (fd < 0)
    return push_error(L, -fd);
  lua_pushcfunction(L, ask_by);
  lua_pushinteger(L, fd);
  lua_pushvalue(L, 2);
  status = lua_pcall(L, 2, LUA_MULTRET, 0);
  close(fd);
  return status == LUA_OK ? lua_gettop(L) - 3 : lua_error(L);
}

/* ---- the rest ------------------------------------------------------------ */

static int l_call_process(lua_State *L)
{
  int error = uj_client_call((pid_t)luaL_checkinteger(L, 1));
  if (error != 0)
    return push_error(L, -error);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_list_directory(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  DIR *directory = opendir(path);
  lua_Integer n = 0;
  const struct dirent *entry;
  if (directory == NULL)
    return push_error(L, errno);
  lua_newtable(L);
  while ((entry = readdir(directory)) != NULL) {
    if (entry->d_name[0] == '.')
      continue;
    lua_pushstring(L, entry->d_name);
    lua_rawseti(L, -2, ++n);
  }
  closedir(directory);
  return 1;
}

static int l_nap(lua_State *L)
{
  double seconds = luaL_checknumber(L, 1);
  struct timespec span = {.tv_sec = (time_t)seconds};
  span.tv_nsec = (long)((seconds - (double)span.tv_sec) * UJ_NS_PER_S);
  (void)nanosleep(&span, NULL);
  return 0;
}

/* monotonic(): seconds from a moment that stays the same. */
static int l_monotonic(lua_State *L)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushnumber(L, (double)now.tv_sec + (double)now.tv_nsec / UJ_NS_PER_S);
  return 1;
}

static int l_take_terminal(lua_State *L)
{
  lua_pushboolean(L, uj_terminal_take());
  return 1;
}

static int l_give_back_terminal(lua_State *L)
{
  (void)L;
  uj_terminal_give_back();
  return 0;
}

static int l_read_keys(lua_State *L)
{
  char keys[64];
  double seconds = luaL_checknumber(L, 1);
  int n = uj_terminal_read(keys, sizeof(keys), uj_seconds_to_ns(seconds));
  if (n < 0)
    return 0;
  lua_pushlstring(L, keys, (size_t)n);
  return 1;
}

static int l_user(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)geteuid());
  return 1;
}

static int l_pid(lua_State *L)
{
  lua_pushinteger(L, (lua_Integer)getpid());
  return 1;
}

const luaL_Reg uj_asking_internals[] = {
    {"ask", l_ask},
    {"take_terminal", l_take_terminal},
    {"give_back_terminal", l_give_back_terminal},
    {"read_keys", l_read_keys},
    {"call_process", l_call_process},
    {"list_directory", l_list_directory},
    {"nap", l_nap},
    {"monotonic", l_monotonic},
    {"user", l_user},
    {"pid", l_pid},
    {NULL, NULL}};
