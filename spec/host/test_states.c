/* Tests src/lua/base/allocator.h from a program that hosts Lua: which allocator
 * a Lua state has after it has loaded uvjobs. */
#include "check.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lua/base/inside.h"

/* An allocator that belongs to the program, on top of another. */
struct counted {
  lua_Alloc below;
  void *context;
  int64_t nblocks;
  int64_t bytes;
};

static void *system_alloc(void *unused, void *block, size_t old_size,
                          size_t new_size)
{
  (void)unused;
  (void)old_size;
  if (new_size > 0)
    return realloc(block, new_size);
  free(block);
  return NULL;
}

static void *counted_alloc(void *context, void *block, size_t old_size,
                           size_t new_size)
{
  struct counted *counted = context;
  void *result = counted->below(counted->context, block, old_size, new_size);
  if (new_size > 0 && result == NULL)
    return NULL;
  counted->nblocks += (new_size > 0) - (block != NULL);
  counted->bytes += (int64_t)new_size - (int64_t)(block != NULL ? old_size : 0);
  return result;
}

static void run(lua_State *L, const char *script)
{
  if (luaL_dostring(L, script) == LUA_OK)
    return;
  printf("  %s\n", lua_tostring(L, -1));
  CHECK(!"the script has ended well");
}

/* Loads the module and runs jobs. Some of them still live when it returns. */
static void use(lua_State *L)
{
  luaL_openlibs(L);
  lua_pushliteral(L, UJ_SPEC_BUILD "/?.so;");
  lua_setglobal(L, "build");
  run(L, "package.cpath = build .. package.cpath\n"
         "core = require('uvjobs.core').public\n"
         "local function work(i)\n"
         "  local kept = { ('text %d'):format(i), function() return i end }\n"
         "  core.sleep(i % 5)\n"
         "  assert(kept[1] == 'text ' .. i and kept[2]() == i)\n"
         "end\n"
         "core.run({ clock = 'virtual' }, function()\n"
         "  local jobs = core.scheduler{ limit = 500 }\n"
         "  for i = 1, 2000 do jobs:spawn(work, i) end\n"
         "  jobs:wait_and_close()\n"
         "end)\n"
         "waiting = core.scheduler()\n"
         "for i = 1, 200 do waiting:spawn(core.sleep, 60) end\n"
         "core.start(core.sleep, 60)\n"
         "core.step()\n");
}

static bool has_heap(lua_State *L)
{
  bool has;
  run(L, "heap = core.stats().heap");
  lua_getglobal(L, "heap");
  has = lua_tointeger(L, -1) > 0;
  lua_pop(L, 1);
  return has;
}

static void an_own_allocator_stays(void)
{
  struct counted counted = {system_alloc, NULL, 0, 0};
  void *context;
  lua_State *L = uj_inside_newstate(counted_alloc, &counted);
  use(L);
  CHECK(lua_getallocf(L, &context) == counted_alloc);
  CHECK(context == &counted);
  CHECK(!has_heap(L));
  lua_close(L);
  CHECK_EQ(counted.nblocks, 0);
  CHECK_EQ(counted.bytes, 0);
}

static void the_common_one_gets_a_heap(void)
{
  void *context;
  lua_State *L = luaL_newstate();
  lua_Alloc before = lua_getallocf(L, &context);
  use(L);
  CHECK_EQ(lua_getallocf(L, &context) != before, UJ_SPEC_HEAP);
  CHECK_EQ(has_heap(L), UJ_SPEC_HEAP);
  lua_close(L);
}

/* Blocks from before the module wrapped the allocator are not counted. */
static void it_can_be_wrapped(void)
{
  struct counted counted = {NULL, NULL, 0, 0};
  int64_t bytes;
  lua_State *L = luaL_newstate();
  use(L);
  counted.below = lua_getallocf(L, &counted.context);
  lua_setallocf(L, counted_alloc, &counted);
  run(L, "kept = {} for i = 1, 1000 do kept[i] = { i } end");
  bytes = counted.bytes;
  CHECK(counted.nblocks >= 1000);
  run(L, "kept = nil collectgarbage()");
  CHECK(counted.bytes < bytes);
  lua_close(L);
}

/* Two modules that each put one in, the later on top of the earlier; the later
 * takes its own away again. */
static void it_can_be_wrapped_twice(void)
{
  struct counted first = {NULL, NULL, 0, 0}, second = first;
  lua_State *L = luaL_newstate();
  use(L);
  first.below = lua_getallocf(L, &first.context);
  lua_setallocf(L, counted_alloc, &first);
  second.below = lua_getallocf(L, &second.context);
  lua_setallocf(L, counted_alloc, &second);
  run(L, "kept = {} for i = 1, 1000 do kept[i] = { i } end");
  CHECK(second.nblocks >= 1000);
  CHECK(first.nblocks >= second.nblocks);
  lua_setallocf(L, second.below, second.context);
  run(L, "for i = 1, 1000 do assert(kept[i][1] == i) end kept = nil\n"
         "collectgarbage()\n"
         "for i = 1, 100 do waiting:spawn(core.sleep, 60) end core.step()");
  CHECK_EQ(has_heap(L), UJ_SPEC_HEAP);
  lua_close(L);
}

static void states_have_heaps_of_their_own(void)
{
  lua_State *a = luaL_newstate(), *b = luaL_newstate();
  use(a);
  use(b);
  lua_close(a);
  run(b, "for i = 1, 1000 do waiting:spawn(core.sleep, 60) end core.step()");
  CHECK_EQ(has_heap(b), UJ_SPEC_HEAP);
  lua_close(b);
}

/* Removes the module's state, as if loading had failed after it was made. */
static void it_is_known_when_loaded_anew(void)
{
  lua_State *L = luaL_newstate();
  lua_Alloc first, second;
  void *context;
  use(L);
  first = lua_getallocf(L, &context);
  run(L, "local registry, found = debug.getregistry(), 0\n"
         "for key, value in pairs(registry) do\n"
         "  local type = debug.getmetatable(value)\n"
         "  if type and type.__name == 'uvjobs.State' then\n"
         "    registry[key], found = nil, found + 1\n"
         "  end\n"
         "end\n"
         "assert(found == 1)\n"
         "package.loaded['uvjobs.core'] = nil\n"
         "local before = core\n"
         "core = require('uvjobs.core').public\n"
         "assert(core.stats ~= before.stats)");
  second = lua_getallocf(L, &context);
  CHECK(first == second);
  CHECK_EQ(has_heap(L), UJ_SPEC_HEAP);
  lua_close(L);
}

/* Returns a number of kibibytes. */
static unsigned long address_space(void)
{
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL)
    return 0;
  CHECK_EQ(fscanf(file, "%lu", &pages), 1);
  fclose(file);
  return pages * 4;
}

/* A heap that is not freed keeps 64 GiB of addresses. */
static void nothing_of_a_state_is_left(void)
{
  enum { TIMES = 50, GIB = 1 << 20 };
  unsigned long before = 0;
  for (int i = 0; i < TIMES; i++) {
    lua_State *L = luaL_newstate();
    use(L);
    lua_close(L);
    if (i == 0)
      before = address_space();
  }
  CHECK(address_space() < before + GIB);
}

/* A busy job is interrupted by a signal. Memcheck ends a process whose stack
 * must grow when a signal arrives; so the stack has grown before. */
static void grow_stack(void)
{
  volatile char deep[1 << 18];
  for (size_t i = 0; i < sizeof(deep); i += 1 << 10)
    deep[i] = 1;
}

int main(void)
{
  static const struct check_test tests[] = {
      {"a state with an allocator of the program keeps it",
       an_own_allocator_stays},
      {"a state with the common allocator gets a heap",
       the_common_one_gets_a_heap},
      {"a program can wrap the allocator later", it_can_be_wrapped},
      {"two modules can wrap it, one after the other", it_can_be_wrapped_twice},
      {"the heap is known when the module is loaded anew",
       it_is_known_when_loaded_anew},
      {"each state has a heap of its own", states_have_heaps_of_their_own},
      {"nothing is left of states that were closed",
       nothing_of_a_state_is_left},
  };
  unsetenv("UVJOBS_HEAP");
  grow_stack();
  return CHECK_RUN(tests);
}
