/* Tests a program that forks while it uses uvjobs: the parent and the child go
 * on, each with a loop of its own. */
#include "check.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that hangs is ended after so many seconds. */
enum { PATIENCE = 60 };

/* How many of the tests, at the end, have threads that run Lua. */
enum { WITH_THREADS = 3 };

static int l_fork(lua_State *L)
{
  pid_t pid;
  fflush(stdout);
  pid = fork();
  alarm(PATIENCE);
  lua_pushinteger(L, pid);
  return 1;
}

static int l_wait(lua_State *L)
{
  int status = 0;
  CHECK(waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) > 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return 0;
}

/* leave(): as os.exit(0, true), but nobody looks for leaks. What a message of
 * the parent holds stays where it is, because the parent may have been changing
 * it; and it has addresses of any alignment, which are not seen. */
static int l_leave(lua_State *L)
{
  lua_close(L);
  fflush(stdout);
  _exit(0);
}

/* Runs a script in a state of its own, which is closed. Its child leaves by
 * os.exit() or leave(). */
static void play(const char *script)
{
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_register(L, "fork", l_fork);
  lua_register(L, "wait", l_wait);
  lua_register(L, "leave", l_leave);
  lua_pushliteral(L, UJ_SPEC_BUILD "/?.so;");
  lua_setglobal(L, "build");
  if (luaL_dostring(L, "package.cpath = build .. package.cpath\n"
                       "core = require('uvjobs.core').public\n"
                       "function nap() core.sleep(0.01) end\n") != LUA_OK ||
      luaL_dostring(L, script) != LUA_OK) {
    printf("  %s\n", lua_tostring(L, -1));
    CHECK(!"the script has ended well");
  }
  lua_close(L);
}

static void test_child_runs_between_two_runs(void)
{
  play("core.run(nap)\n"
       "local pid = fork()\n"
       "for _ = 1, 10 do core.run(nap) end\n"
       "if pid == 0 then os.exit(0, true) end\n"
       "wait(pid)\n"
       "for _ = 1, 10 do core.run(nap) end\n");
}

static void test_child_only_closes_its_state(void)
{
  play("core.run(nap)\n"
       "local pid = fork()\n"
       "if pid == 0 then os.exit(0, true) end\n"
       "wait(pid)\n"
       "core.run(nap)\n");
}

static void test_child_goes_on_in_a_run(void)
{
  play("local pid\n"
       "core.run(function()\n"
       "  local jobs = core.scheduler()\n"
       "  for _ = 1, 10 do jobs:spawn(function() for _ = 1, 5 do nap() end "
       "end) end\n"
       "  nap()\n"
       "  pid = fork()\n"
       "  nap()\n"
       "  jobs:wait_and_close()\n"
       "end)\n"
       "if pid == 0 then os.exit(0, true) end\n"
       "wait(pid)\n"
       "core.run(nap)\n");
}

static void test_child_leaves_in_a_run(void)
{
  play("core.run(function()\n"
       "  nap()\n"
       "  local pid = fork()\n"
       "  if pid == 0 then os.exit(0, true) end\n"
       "  wait(pid)\n"
       "  for _ = 1, 10 do nap() end\n"
       "end)\n");
}

static void test_grandchild(void)
{
  play("core.run(nap)\n"
       "local pid = fork()\n"
       "core.run(nap)\n"
       "if pid == 0 then\n"
       "  pid = fork()\n"
       "  core.run(nap)\n"
       "  if pid ~= 0 then wait(pid) core.run(nap) end\n"
       "  os.exit(0, true)\n"
       "end\n"
       "wait(pid)\n"
       "core.run(nap)\n");
}

static const char work[] =
    "local function f(n) return n + 1 end\n"
    "core.run(function() assert(core.work(f, 1) == 2) end)\n"
    "local pid = fork()\n"
    "core.run(function() assert(core.work(f, 2) == 3) end)\n"
    "if pid == 0 then os.exit(0, true) end\n"
    "wait(pid)\n"
    "core.run(function() assert(core.work(f, 3) == 4) end)\n";

/* A channel of the parent is refused in the child, which makes one of its own.
 * A job waits for a channel during the fork. */
static void test_child_has_channels_of_its_own(void)
{
  play(
      "local channel, blob = core.channel(1), core.blob('bytes')\n"
      "channel:try_put({channel, blob})\n"
      "local pid\n"
      "local function pass()\n"
      "  local own, jobs = core.channel(0), core.scheduler()\n"
      "  jobs:spawn(function() own:put(7) end)\n"
      "  assert(own:get() == 7)\n"
      "end\n"
      "core.run(function()\n"
      "  local empty, jobs = core.channel(), core.scheduler()\n"
      "  local waits = jobs:spawn(function() return empty:get() end)\n"
      "  nap()\n"
      "  pid = fork()\n"
      "  if pid == 0 then\n"
      "    local ok, err = pcall(channel.try_get, channel)\n"
      "    assert(not ok and err:find('belongs to another process', 1, true))\n"
      "    assert(not pcall(function() return channel.capacity end))\n"
      "    assert(tostring(channel):find('of another process', 1, true))\n"
      "    assert(blob:string() == 'bytes')\n"
      "    waits:cancel()\n"
      "  else\n"
      "    empty:put(1)\n"
      "  end\n"
      "  pcall(waits.wait, waits)\n"
      "  pass()\n"
      "end)\n"
      "core.run(pass)\n"
      "if pid == 0 then leave() end\n"
      "wait(pid)\n"
      "local got = channel:try_get()\n"
      "assert(got[1] == channel and got[2] == blob)\n");
}

static void test_child_works(void)
{
  play(work);
}

/* The thread that runs the function belongs to the parent. */
static void test_child_has_lost_what_ran(void)
{
  play("core.run(function()\n"
       "  local jobs = core.scheduler()\n"
       "  local running = core.event()\n"
       "  local options = { on_message = function() running:set() end }\n"
       "  local job = jobs:spawn(core.work, options, function()\n"
       "    require('uvjobs.worker').send()\n"
       "    while true do end\n"
       "  end)\n"
       "  running:wait()\n"
       "  local pid = fork()\n"
       "  if pid == 0 then\n"
       "    local ok, err = pcall(job.wait, job)\n"
       "    assert(not ok and err:find('runs in another process only'), err)\n"
       "    os.exit(0, true)\n"
       "  end\n"
       "  wait(pid)\n"
       "  job:close()\n"
       "end)\n");
}

static void test_child_runs_what_was_queued(void)
{
  play("core.run({ work_threads = 1 }, function()\n"
       "  local jobs = core.scheduler()\n"
       "  local running = core.event()\n"
       "  local options = { on_message = function() running:set() end }\n"
       "  local first = jobs:spawn(core.work, options, function()\n"
       "    require('uvjobs.worker').send()\n"
       "    while true do end\n"
       "  end)\n"
       "  running:wait()\n"
       "  local second = jobs:spawn(core.work, function() return 42 end)\n"
       "  nap()\n"
       "  local pid = fork()\n"
       "  if pid == 0 then\n"
       "    assert(second:wait() == 42)\n"
       "    os.exit(0, true)\n"
       "  end\n"
       "  wait(pid)\n"
       "  first:close()\n"
       "  assert(second:wait() == 42)\n"
       "end)\n");
}

/* With an argument it leaves out the last tests, in which threads run Lua: they
 * cannot be told to stop under valgrind. */
int main(int argc, char **argv)
{
  static const struct check_test tests[] = {
      {"a child runs between two runs", test_child_runs_between_two_runs},
      {"a child only closes its state", test_child_only_closes_its_state},
      {"a child goes on in a run", test_child_goes_on_in_a_run},
      {"a child leaves in a run", test_child_leaves_in_a_run},
      {"a child has a child", test_grandchild},
      {"a child has channels of its own", test_child_has_channels_of_its_own},
      {"a child works", test_child_works},
      {"a child has lost what ran", test_child_has_lost_what_ran},
      {"a child runs what was queued", test_child_runs_what_was_queued},
  };
  size_t n = sizeof(tests) / sizeof(*tests);
  (void)argv;
  return check_run(tests, argc > 1 ? n - WITH_THREADS : n);
}
