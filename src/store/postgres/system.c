#include "store/postgres/system.h"

#include <poll.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#define LONGEST_MS 3600000

static int l_now(lua_State *L)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
  return 1;
}

static int l_pid(lua_State *L)
{
  lua_pushinteger(L, getpid());
  return 1;
}

/* Rounded up, so that nobody asks again and again in the last millisecond. */
static int milliseconds(double seconds)
{
  double ms = seconds * 1000 + 0.999;
  if (!(ms > 0))
    return 0;
  return ms < LONGEST_MS ? (int)ms : LONGEST_MS;
}

/* A signal ends it early, which the caller takes for a time-out. */
static int l_wait(lua_State *L)
{
  bool reads = lua_toboolean(L, 2), writes = lua_toboolean(L, 3);
  struct pollfd polled = {
      .fd = (int)luaL_checkinteger(L, 1),
      .events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0))};
  int n = poll(&polled, 1, milliseconds(luaL_checknumber(L, 4)));
  lua_pushboolean(L, n > 0);
  return 1;
}

const luaL_Reg uj_postgres_system_functions[] = {
    {"now", l_now}, {"pid", l_pid}, {"wait", l_wait}, {NULL, NULL}};
