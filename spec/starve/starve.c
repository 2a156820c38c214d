/* Lets every request for memory fail once.
 *
 *   starve [-b COUNT] [-n N] SCENARIOS.lua [NAME...]
 *
 * SCENARIOS.lua returns a list of tables: `name`; `body`, the function that is
 * called while memory is short; `check`, which is called with the results of
 * `body` when nothing has failed. For n = 1, 2, 3 ... a scenario runs in a
 * process of its own, so that a crash is found, too. In it the n-th request
 * fails, together with the one that Lua repeats after it has collected garbage;
 * or with -b the next COUNT. The scenario is finished when it makes fewer than
 * n requests.
 *
 * The requests are those of Lua, those of the module by malloc() and the like,
 * and the module's calls of libuv and of the system that make threads, handles
 * and descriptors. After each try these must hold:
 *   - `body` has succeeded, or raised a memory error;
 *   - no job lives, and the loop works: SCENARIOS.lua has a field `usable` for
 * that;
 *   - when the Lua state has closed, all memory is free;
 *   - after some of the tries, the scenario succeeds in another Lua state of
 * the same process. The processes of a scenario are forks of one that has
 * loaded the module: loading it takes ten times as long as a try. With -n only
 * the N-th request fails, in this process, for a debugger. */
#define _GNU_SOURCE
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "lua/base/inside.h"

enum { MOST = 200000, PATIENCE_S = 60 };

/* Another Lua state follows each so manieth try. */
enum { FOLLOWED = 16 };

/* ---- requests ----------------------------------------------------------- */

static struct {
  uint64_t count;   /* requests since the last begin_shortage() */
  uint64_t first;   /* the first one that fails, or 0 */
  uint64_t length;  /* how many fail */
  size_t repeated;  /* the size of the one that failed last, or 0 */
  bool failed;      /* a request has failed */
  bool on;          /* memory is short now */
  size_t lua_bytes; /* how many bytes Lua has */
  int64_t blocks;   /* how many blocks the module has */
  const char *what; /* the kind of the request that failed first */
} requests;

static _Thread_local bool has_state; /* others are not starved */

static void begin_shortage(uint64_t first, uint64_t length)
{
  requests.count = 0;
  requests.first = first;
  requests.length = length;
  requests.repeated = 0;
  requests.failed = false;
  requests.what = "nothing";
  requests.on = true;
}

static bool fails(size_t size, const char *what)
{
  if (!requests.on || !has_state)
    return false;
  if (requests.repeated != 0 && requests.repeated == size) {
    requests.repeated = 0;
    return true;
  }
  requests.count++;
  if (requests.count < requests.first ||
      requests.count >= requests.first + requests.length)
    return false;
  if (!requests.failed)
    requests.what = what;
  requests.failed = true;
  return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

/* Lua repeats a request that failed after it has collected garbage. */
static void *allocate(void *unused, void *block, size_t old_size, size_t size)
{
  void *result;
  (void)unused;
  if (block == NULL)
    old_size = 0;
  if (size == 0) {
    __real_free(block);
    requests.lua_bytes -= old_size;
    return NULL;
  }
  if (size > old_size) {
    bool again = requests.repeated == size;
    if (fails(size, "lua")) {
      requests.repeated = again ? 0 : size;
      return NULL;
    }
  }
  result = __real_realloc(block, size);
  if (result == NULL)
    abort();
  requests.lua_bytes += size - old_size;
  return result;
}

/* These are atomic because threads free each other's blocks. */
static void *counted(void *block)
{
  if (block != NULL)
    __atomic_add_fetch(&requests.blocks, 1, __ATOMIC_RELAXED);
  return block;
}

void *__wrap_malloc(size_t size)
{
  return fails(0, "malloc") ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
  return fails(0, "calloc") ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
  if (fails(0, "realloc"))
    return NULL;
  return block == NULL ? counted(__real_malloc(size))
                       : __real_realloc(block, size);
}

void __wrap_free(void *block)
{
  if (block != NULL)
    __atomic_sub_fetch(&requests.blocks, 1, __ATOMIC_RELAXED);
  __real_free(block);
}

/* ---- what else can fail ------------------------------------------------- */

#define FAILING(name, parameters, arguments, failure)             \
  int __real_##name parameters;                                   \
  int __wrap_##name parameters;                                   \
  int __wrap_##name parameters                                    \
  {                                                               \
    return fails(0, #name) ? (failure) : __real_##name arguments; \
  }

FAILING(uv_loop_init, (uv_loop_t * loop), (loop), UV_ENOMEM)
FAILING(uv_poll_init, (uv_loop_t * loop, uv_poll_t *poll, int fd),
        (loop, poll, fd), UV_EMFILE)
FAILING(uv_poll_start, (uv_poll_t * poll, int events, uv_poll_cb cb),
        (poll, events, cb), UV_ENOMEM)
FAILING(uv_signal_start, (uv_signal_t * handle, uv_signal_cb cb, int n),
        (handle, cb, n), UV_ENOMEM)
FAILING(uv_async_init, (uv_loop_t * loop, uv_async_t *async, uv_async_cb cb),
        (loop, async, cb), UV_EMFILE)
FAILING(uv_queue_work,
        (uv_loop_t * loop, uv_work_t *work, uv_work_cb cb,
         uv_after_work_cb after),
        (loop, work, cb, after), UV_ENOMEM)
FAILING(uv_thread_create, (uv_thread_t * thread, uv_thread_cb cb, void *arg),
        (thread, cb, arg), UV_EAGAIN)
FAILING(uv_mutex_init, (uv_mutex_t * mutex), (mutex), UV_ENOMEM)
FAILING(uv_cond_init, (uv_cond_t * cond), (cond), UV_ENOMEM)
FAILING(timerfd_create, (int clock, int flags), (clock, flags), -1)
FAILING(eventfd, (unsigned count, int flags), (count, flags), -1)

/* ---- one try ------------------------------------------------------------ */

int luaopen_uvjobs_core(lua_State *L);

/* What the process of a try was doing when it ended. The memory is shared with
 * its parents. */
struct report {
  uint64_t n;
  uint64_t failures; /* how many requests have failed, in tries of their own */
  bool failed;       /* one has failed in this try */
  char message[2000];
};

static struct report *report;

static void complain(const char *what, const char *detail)
{
  snprintf(report->message, sizeof(report->message), "%s: %s", what,
           detail == NULL ? "" : detail);
}

/* (name, path): loads the scenarios, and the module with all that it needs. */
static int load(lua_State *L)
{
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_uvjobs_core);
  lua_setfield(L, -2, "uvjobs.core");
  lua_settop(L, 2);
  if (luaL_dofile(L, lua_tostring(L, 2)) != LUA_OK)
    return lua_error(L);
  lua_getfield(L, -1, "usable");
  for (lua_Integer i = 1; lua_geti(L, -2, i) == LUA_TTABLE; i++) {
    lua_getfield(L, -1, "name");
    if (lua_compare(L, -1, 1, LUA_OPEQ)) {
      lua_pop(L, 1);
      return 2; /* usable, scenario */
    }
    lua_pop(L, 2);
  }
  return luaL_error(L, "no scenario '%s'", lua_tostring(L, 1));
}

static int call_body(lua_State *L)
{
  lua_getfield(L, 1, "body");
  lua_call(L, 0, LUA_MULTRET);
  return lua_gettop(L) - 1;
}

static int push_text(lua_State *L)
{
  luaL_tolstring(L, 1, NULL);
  return 1;
}

static const char *text_of(lua_State *L)
{
  lua_pushcfunction(L, push_text);
  lua_insert(L, -2);
  (void)lua_pcall(L, 1, 1, 0);
  return lua_tostring(L, -1);
}

/* When a stack cannot grow, Lua raises a stack overflow whatever the reason. */
static bool is_shortage(const char *text)
{
  static const char *const words[] = {"not enough memory", "stack overflow",
                                      "too many open files",
                                      "resource temporarily unavailable", NULL};
  bool any = false;
  for (int i = 0; text != NULL && words[i] != NULL; i++)
    any = any || strstr(text, words[i]) != NULL;
  return any;
}

/* Stack: usable, scenario, results. */
static bool judge(lua_State *L, int status)
{
  int nresults = lua_gettop(L) - 2;
  if (status != LUA_OK) {
    const char *text = text_of(L);
    if (!requests.failed || !is_shortage(text)) {
      complain("another error than of memory", text);
      return false;
    }
  } else if (!requests.failed && lua_getfield(L, 2, "check") == LUA_TFUNCTION) {
    lua_insert(L, 3);
    if (lua_pcall(L, nresults, 0, 0) != LUA_OK) {
      complain("the check", text_of(L));
      return false;
    }
  }
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
    complain("not usable any more", text_of(L));
    return false;
  }
  return true;
}

/* A Lua state with a scenario that is about to be called. */
struct ready {
  lua_State *L;   /* NULL when it cannot be loaded; the stack: usable,
                     scenario, call_body, scenario */
  int64_t blocks; /* requests.blocks before */
};

static struct ready prepare(const char *path, const char *name)
{
  struct ready ready = {uj_inside_newstate(allocate, NULL), requests.blocks};
  lua_State *L = ready.L;
  lua_pushcfunction(L, load);
  lua_pushstring(L, name);
  lua_pushstring(L, path);
  if (lua_pcall(L, 2, 2, 0) != LUA_OK) {
    complain("cannot load", lua_tostring(L, -1));
    ready.L = NULL;
    return ready;
  }
  lua_pushcfunction(L, call_body);
  lua_pushvalue(L, 2);
  lua_gc(L, LUA_GCCOLLECT);
  return ready;
}

/* Returns whether all is well. With n = 0 no request fails. */
static bool try(struct ready ready, uint64_t n, uint64_t length)
{
  bool good;
  int status;
  if (ready.L == NULL)
    return false;
  begin_shortage(n, n == 0 ? 0 : length);
  status = lua_pcall(ready.L, 1, LUA_MULTRET, 0);
  requests.on = false;
  good = judge(ready.L, status);
  lua_close(ready.L);
  if (good && requests.lua_bytes != 0) {
    complain("memory of Lua is left", "");
    good = false;
  }
  if (good && requests.blocks != ready.blocks) {
    complain("blocks of the module are left", "");
    good = false;
  }
  return good;
}

/* ---- all of them -------------------------------------------------------- */

/* Calls a function in a process of its own. Returns whether it has returned
 * true; a signal that has ended the process is reported. */
static bool in_process(bool (*fn)(void *), void *arg)
{
  int status;
  pid_t child;
  fflush(stdout);
  child = fork();
  if (child == 0)
    _exit(fn(arg) ? EXIT_SUCCESS : EXIT_FAILURE);
  if (child < 0) {
    complain("fork", strerror(errno));
    return false;
  }
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  if (WIFSIGNALED(status))
    complain("ended by", strsignal(WTERMSIG(status)));
  return status == 0;
}

struct scenario {
  const char *path;
  const char *name;
  uint64_t length;
  struct ready ready;
};

static bool try_once(void *arg)
{
  const struct scenario *scenario = arg;
  alarm(PATIENCE_S);
  if (!try(scenario->ready, report->n, scenario->length))
    return false;
  report->failed = requests.failed;
  return report->n % FOLLOWED != 0 ||
         try(prepare(scenario->path, scenario->name), 0, 0);
}

/* Runs a scenario until each of its requests has failed once. */
static bool try_all(void *arg)
{
  struct scenario *scenario = arg;
  has_state = true;
  scenario->ready = prepare(scenario->path, scenario->name);
  for (uint64_t n = 1; n < MOST; n++) {
    report->n = n;
    if (!in_process(try_once, scenario))
      return false;
    if (!report->failed)
      return true;
    report->failures++;
  }
  complain("no end", "");
  return false;
}

static bool run_scenario(const char *path, const char *name, uint64_t length)
{
  struct scenario scenario = {.path = path, .name = name, .length = length};
  memset(report, 0, sizeof(*report));
  if (in_process(try_all, &scenario)) {
    printf("ok      %s: %llu requests failed\n", name,
           (unsigned long long)report->failures);
    return true;
  }
  printf("FAILED  %s: -n %llu: %s\n", name, (unsigned long long)report->n,
         report->message);
  return false;
}

/* The names of all scenarios, one after another. */
static int list(lua_State *L)
{
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_uvjobs_core);
  lua_setfield(L, -2, "uvjobs.core");
  if (luaL_dofile(L, lua_tostring(L, 1)) != LUA_OK)
    return lua_error(L);
  return 1;
}

static int run_named(const char *path, char **names, uint64_t length)
{
  int passed = 0, failed = 0;
  for (; *names != NULL; names++) {
    if (run_scenario(path, *names, length))
      passed++;
    else
      failed++;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_all(const char *path, uint64_t length)
{
  static char *names[1000];
  size_t count = 0;
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, list);
  lua_pushstring(L, path);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    fprintf(stderr, "starve: %s\n", lua_tostring(L, -1));
    return EXIT_FAILURE;
  }
  while (lua_geti(L, 1, (lua_Integer)count + 1) == LUA_TTABLE) {
    lua_getfield(L, -1, "name");
    names[count++] = strdup(lua_tostring(L, -1));
    lua_pop(L, 2);
  }
  lua_close(L);
  return run_named(path, names, length);
}

static int run_one(const char *path, const char *name, uint64_t n,
                   uint64_t length)
{
  bool good;
  has_state = true;
  good = try(prepare(path, name), n, length);
  printf("%s: %s failed, %s\n", name, requests.what,
         good ? "all is well" : report->message);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
  uint64_t length = 1, n = 0;
  int option;
  while ((option = getopt(argc, argv, "b:n:")) != -1) {
    if (option == 'b')
      length = strtoull(optarg, NULL, 10);
    else if (option == 'n')
      n = strtoull(optarg, NULL, 10);
    else
      return EXIT_FAILURE;
  }
  if (optind >= argc) {
    fprintf(stderr, "starve [-b COUNT] [-n N] SCENARIOS.lua [NAME...]\n");
    return EXIT_FAILURE;
  }
  report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (n != 0)
    return run_one(argv[optind], argv[optind + 1], n, length);
  if (optind + 1 < argc)
    return run_named(argv[optind], &argv[optind + 1], length);
  return run_all(argv[optind], length);
}
