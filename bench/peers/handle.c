/* The least that a job costs which has a handle: a Lua module without any
 * scheduler behind it. `spawn` makes a userdata of the size of a job, with a
 * method table, that holds the function; `wait` yields until it has run. They
 * run in one coroutine that is used again and again, each by a protected call,
 * as a job does so that its errors are caught where they are raised. There is
 * no cancellation, no deadline, no limit but one, no queue behind it, and
 * nothing counts or can be asked for.
 *
 * run(fn, "handle.Found") finds the method as a type must that has properties,
 * too: by a function, which looks into the table of the methods. */
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

enum { LIMIT = 100, JOB_SIZE = 176 };

/* What lies on the stack of the loop. */
enum { AT_FN = 1, AT_TYPE, AT_MAIN, AT_WORKER, AT_JOBS };

struct job {
  bool ended;
  char rest[JOB_SIZE - sizeof(bool)];
};

static struct {
  lua_State *L;      /* of the loop */
  lua_State *worker; /* what jobs run in */
  int count;         /* jobs in the table at AT_JOBS */
} loop;

static int body_end(lua_State *L, int status, lua_KContext context)
{
  struct job *job = lua_touserdata(L, 1);
  (void)status;
  (void)context;
  if (lua_gettop(L) == 1)
    lua_pushnil(L);
  lua_setiuservalue(L, 1, 1);
  job->ended = true;
  return 0;
}

/* (job, fn) */
static int body(lua_State *L)
{
  return body_end(L, lua_pcallk(L, 0, LUA_MULTRET, 0, 0, body_end), 0);
}

static void run_all(lua_State *L)
{
  int nresults;
  for (int i = 1; i <= loop.count; i++) {
    lua_pushcfunction(loop.worker, body);
    lua_rawgeti(L, AT_JOBS, i);
    lua_xmove(L, loop.worker, 1);
    lua_getiuservalue(loop.worker, -1, 1);
    if (lua_resume(loop.worker, L, 2, &nresults) != LUA_OK)
      luaL_error(L, "a job has failed");
    lua_pushboolean(L, 0);
    lua_rawseti(L, AT_JOBS, i);
  }
  loop.count = 0;
}

static int spawned(lua_State *L, int status, lua_KContext context)
{
  (void)L;
  (void)status;
  (void)context;
  return 1;
}

/* (queue, fn) */
static int queue_spawn(lua_State *L)
{
  struct job *job;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  job = lua_newuserdatauv(L, sizeof(*job), 1);
  job->ended = false;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 1);
  lua_getiuservalue(L, 1, 1);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_xmove(L, loop.L, 1);
  lua_rawseti(loop.L, AT_JOBS, ++loop.count);
  return loop.count < LIMIT ? 1 : lua_yieldk(L, 0, 0, spawned);
}

static int waited(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  (void)context;
  lua_getiuservalue(L, 1, 1);
  return 1;
}

/* (job) */
static int job_wait(lua_State *L)
{
  const struct job *job = lua_touserdata(L, 1);
  return job->ended ? waited(L, LUA_OK, 0) : lua_yieldk(L, 0, 0, waited);
}

/* (fn, [type]): calls fn(queue) in a coroutine. */
static int run(lua_State *L)
{
  const char *type = luaL_optstring(L, 2, "handle.Job");
  lua_State *main;
  int nresults, nargs = 1, status;
  lua_settop(L, 2);
  main = lua_newthread(L);
  loop.L = L;
  loop.worker = lua_newthread(L);
  lua_createtable(L, LIMIT, 0);
  lua_pushvalue(L, AT_FN);
  lua_newuserdatauv(L, 0, 1);
  luaL_getmetatable(L, type);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, "handle.Queue");
  lua_xmove(L, main, 2);
  while ((status = lua_resume(main, L, nargs, &nresults)) == LUA_YIELD) {
    nargs = 0;
    run_all(L);
  }
  if (status != LUA_OK)
    return luaL_error(L, "%s", lua_tostring(main, -1));
  run_all(L);
  return 0;
}

static void make_type(lua_State *L, const char *name, const char *method,
                      lua_CFunction function)
{
  luaL_newmetatable(L, name);
  lua_newtable(L);
  lua_pushcfunction(L, function);
  lua_setfield(L, -2, method);
  lua_setfield(L, -2, "__index");
}

/* (self, key) */
static int find(lua_State *L)
{
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

/* Makes the __index of the type on the top a function. */
static void find_by_function(lua_State *L)
{
  lua_getfield(L, -1, "__index");
  lua_pushcclosure(L, find, 1);
  lua_setfield(L, -2, "__index");
}

int luaopen_handle(lua_State *L);

int luaopen_handle(lua_State *L)
{
  make_type(L, "handle.Job", "wait", job_wait);
  make_type(L, "handle.Found", "wait", job_wait);
  find_by_function(L);
  make_type(L, "handle.Queue", "spawn", queue_spawn);
  lua_pushcfunction(L, run);
  return 1;
}
