/* Tests src/lua/base/inside.h: what it states about the inside of Lua is true
 * of the Lua that this program is linked with. */
#include "check.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "lua/base/inside.h"

static lua_State *new_state(void)
{
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  return L;
}

static void run(lua_State *L, const char *script)
{
  if (luaL_dostring(L, script) == LUA_OK)
    return;
  printf("  %s\n", lua_tostring(L, -1));
  CHECK(!"the script has ended well");
}

/* Runs a script that calls probe(). */
static void run_with(lua_CFunction probe, const char *script)
{
  lua_State *L = new_state();
  lua_register(L, "probe", probe);
  run(L, script);
  lua_close(L);
}

/* ---- finalizers ---------------------------------------------------------- */

static int in_finalizer(lua_State *L)
{
  CHECK_EQ(uj_inside_is_finalizing(L), lua_toboolean(L, 1));
  return 0;
}

static void a_finalizer_is_known(void)
{
  run_with(in_finalizer, "probe(false)\n"
                         "local function made()\n"
                         "  setmetatable({}, { __gc = function()\n"
                         "    probe(true)\n"
                         "    coroutine.wrap(probe)(true)\n"
                         "  end })\n"
                         "end\n"
                         "made() collectgarbage() probe(false)\n"
                         "collectgarbage('stop') probe(false)\n"
                         "made() collectgarbage() probe(false)\n");
}

/* ---- protected calls ----------------------------------------------------- */

/* Returns how many values the C function at a level has below what it calls. */
static int values_at(lua_State *L, int level)
{
  lua_Debug ar;
  int n = 0;
  CHECK(lua_getstack(L, level, &ar));
  while (lua_getlocal(L, &ar, n + 1) != NULL) {
    lua_pop(L, 1);
    n++;
  }
  return n;
}

/* (level): returns the number of values there. */
static int count_values(lua_State *L)
{
  lua_pushinteger(L, values_at(L, (int)luaL_checkinteger(L, 1)));
  return 1;
}

static int in_pcall(lua_State *L)
{
  CHECK_EQ(values_at(L, 1), UJ_INSIDE_PCALL_BELOW);
  return 0;
}

static void pcall_has_one_value_below(void)
{
  run_with(in_pcall, "assert(pcall(probe)); assert(pcall(probe, 1, 2, 3))");
}

static int in_xpcall(lua_State *L)
{
  lua_Debug ar;
  CHECK_EQ(values_at(L, 1), UJ_INSIDE_XPCALL_BELOW);
  CHECK(lua_getstack(L, 1, &ar));
  CHECK(lua_getlocal(L, &ar, UJ_INSIDE_XPCALL_HANDLER) != NULL);
  lua_getglobal(L, "print");
  CHECK(lua_rawequal(L, -1, -2));
  return 0;
}

static void xpcall_has_its_handler_below(void)
{
  run_with(in_xpcall,
           "assert(xpcall(probe, print)); assert(xpcall(probe, print, 1, 2))");
}

static int replace_handler(lua_State *L)
{
  lua_Debug ar;
  CHECK(lua_getstack(L, 1, &ar));
  lua_getglobal(L, "other");
  CHECK(lua_setlocal(L, &ar, UJ_INSIDE_XPCALL_HANDLER) != NULL);
  return luaL_error(L, "an error");
}

static void a_replaced_handler_is_called(void)
{
  run_with(replace_handler, "function other() return 'other' end\n"
                            "local ok, err = xpcall(probe, error)\n"
                            "assert(not ok and err == 'other')");
}

/* Below a function with one parameter and two extra arguments there are four
 * values: the three arguments, and the function. */
static void a_vararg_function_leaves_its_arguments(void)
{
  run_with(
      count_values,
      "local function f(a, ...) local n <const> = probe(2); return n end\n"
      "local _, plain = pcall(function() local n = probe(2); return n end)\n"
      "local _, moved = pcall(f, 1, 2, 3)\n"
      "assert(plain == 1, plain); assert(moved == plain + 4, moved)");
}

static void a_caught_error_leaves_variables_below(void)
{
  run_with(count_values,
           "local n\n"
           "local mt = { __close = function() n = probe(2) end }\n"
           "assert(not pcall(function()\n"
           "  local x <close> = setmetatable({}, mt)\n"
           "  error('an error')\n"
           "end))\n"
           "assert(n > 1, n)");
}

static int in_close(lua_State *L)
{
  lua_Debug ar;
  CHECK(lua_getstack(L, 0, &ar));
  CHECK(lua_getinfo(L, "n", &ar));
  CHECK_STR(ar.namewhat, UJ_INSIDE_CLOSE_NAMEWHAT);
  CHECK_STR(ar.name == NULL ? "" : ar.name, UJ_INSIDE_CLOSE_NAME);
  return 0;
}

static void a_block_names_what_it_closes(void)
{
  run_with(
      in_close,
      "local mt = { __close = probe }\n"
      "do local x <close> = setmetatable({}, mt) end\n"
      "(function() local x <close> = setmetatable({}, mt); return 1 end)()\n"
      "for _ in next, {}, nil, setmetatable({}, mt) do break end");
}

/* ---- calls --------------------------------------------------------------- */

/* (expected): checks how many results are wanted of this call; returns none. */
static int in_wanting(lua_State *L)
{
  CHECK_EQ(uj_inside_wanted_results(L), luaL_checkinteger(L, 1));
  return 0;
}

static void a_call_knows_what_its_caller_takes(void)
{
  run_with(in_wanting, "probe(0)\n"
                       "local a = probe(1)\n"
                       "local a, b, c = probe(3)\n"
                       "local d, e = probe(1), probe(1)\n"
                       "if probe(1) then return end\n"
                       "local t = { probe(-1) }\n"
                       "t.x = probe(1)\n"
                       "assert(not pcall(error, probe(-1)))\n"
                       "assert((probe(1)) == nil)\n"
                       "for _ = 1, 2 do probe(0) end\n"
                       "setmetatable(t, { __index = function(_, n)\n"
                       "  return probe(-1)\n"
                       "end })\n"
                       "local _ = t.y\n"
                       "return probe(-1)");
}

static void other_functions_in_c_take_all(void)
{
  run_with(in_wanting, "assert(pcall(probe, -1))\n"
                       "coroutine.wrap(probe)(-1)\n"
                       "select(1, probe(-1))");
}

static int call_in_wanting(lua_State *L)
{
  for (int wanted = LUA_MULTRET; wanted < 9; wanted++) {
    lua_pushcfunction(L, in_wanting);
    lua_pushinteger(L, wanted);
    lua_call(L, 1, wanted);
    lua_settop(L, 0);
  }
  return 0;
}

static void what_lua_call_takes_is_known(void)
{
  run_with(call_in_wanting, "probe(); coroutine.wrap(probe)()");
}

/* In a continuation the call is the same. */
static int go_on(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  (void)context;
  return in_wanting(L);
}

static int yield_first(lua_State *L)
{
  return lua_yieldk(L, 0, 0, go_on);
}

static void a_continuation_knows_it(void)
{
  run_with(yield_first, "local co = coroutine.wrap(function()\n"
                        "  probe(0)\n"
                        "  local a, b = probe(2)\n"
                        "  return probe(-1)\n"
                        "end)\n"
                        "for _ = 1, 4 do co() end");
}

/* ---- hooks --------------------------------------------------------------- */

static int events[2], nevents;

static void note_event(lua_State *L, lua_Debug *ar)
{
  (void)L;
  if (nevents < 2)
    events[nevents] = ar->event;
  nevents++;
}

static void the_count_comes_before_the_line(void)
{
  lua_State *L = new_state();
  CHECK_EQ(luaL_loadstring(L, "local a = 1\nlocal b = 2"), LUA_OK);
  lua_sethook(L, note_event, LUA_MASKLINE | LUA_MASKCOUNT, 1);
  lua_call(L, 0, 0);
  CHECK(nevents > 2);
  CHECK_EQ(events[0], LUA_HOOKCOUNT);
  CHECK_EQ(events[1], LUA_HOOKLINE);
  CHECK_EQ(uj_inside_last_event(LUA_MASKLINE | LUA_MASKCOUNT), LUA_HOOKLINE);
  CHECK_EQ(uj_inside_last_event(LUA_MASKCOUNT), LUA_HOOKCOUNT);
  lua_close(L);
}

static void a_coroutine_inherits_the_hook(void)
{
  lua_State *L = new_state(), *co;
  lua_sethook(L, note_event, LUA_MASKLINE | LUA_MASKCOUNT, 7);
  co = lua_newthread(L);
  CHECK(lua_gethook(co) == note_event);
  CHECK_EQ(lua_gethookmask(co), LUA_MASKLINE | LUA_MASKCOUNT);
  CHECK_EQ(lua_gethookcount(co), 7);
  lua_close(L);
}

/* ---- closing coroutines -------------------------------------------------- */

/* [-0, +1] Pushes a coroutine that a script has made, at its first stop. */
static lua_State *resume_script(lua_State *L, const char *script, int expected)
{
  lua_State *co = lua_newthread(L);
  int nresults;
  CHECK_EQ(luaL_loadstring(co, script), LUA_OK);
  CHECK_EQ(lua_resume(co, L, 0, &nresults), expected);
  return co;
}

static void a_suspended_coroutine_is_emptied(void)
{
  lua_State *L = new_state();
  lua_State *co = resume_script(
      L,
      "local x <close> = setmetatable({}, { __close = function(_, err)\n"
      "  assert(err == nil); closed = true\n"
      "end })\n"
      "coroutine.yield(1, 2)",
      LUA_YIELD);
  CHECK_EQ(uj_inside_closethread(co, L), LUA_OK);
  CHECK_EQ(lua_gettop(co), 0);
  CHECK_EQ(lua_getglobal(L, "closed"), LUA_TBOOLEAN);
  lua_close(L);
}

static void an_error_of_closing_is_left(void)
{
  lua_State *L = new_state();
  lua_State *co = resume_script(
      L,
      "local x <close> = setmetatable({}, { __close = function()\n"
      "  error('of closing', 0)\n"
      "end })\n"
      "coroutine.yield()",
      LUA_YIELD);
  CHECK_EQ(uj_inside_closethread(co, L), LUA_ERRRUN);
  CHECK_EQ(lua_gettop(co), 1);
  CHECK_STR(lua_tostring(co, -1), "of closing");
  lua_close(L);
}

static void a_failed_coroutine_closes_with_its_error(void)
{
  lua_State *L = new_state();
  lua_State *co = resume_script(
      L,
      "local x <close> = setmetatable({}, { __close = function(_, err)\n"
      "  assert(err == 'its error'); closed = true\n"
      "end })\n"
      "error('its error', 0)",
      LUA_ERRRUN);
  CHECK_STR(lua_tostring(co, -1), "its error");
  CHECK_EQ(uj_inside_closethread(co, L), LUA_ERRRUN);
  CHECK_STR(lua_tostring(co, -1), "its error");
  CHECK_EQ(lua_getglobal(L, "closed"), LUA_TBOOLEAN);
  lua_close(L);
}

static void what_closes_itself_leaves_everything(void)
{
  lua_State *L = new_state(), *co;
  if (!UJ_INSIDE_CLOSES_ITSELF) {
    lua_close(L);
    return;
  }
  co = resume_script(
      L,
      "local x <close> = setmetatable({}, { __close = function(_, err)\n"
      "  assert(err == nil); closed = true\n"
      "end })\n"
      "pcall(string.gsub, 'x', 'x', function() coroutine.close() end)\n"
      "after = true",
      LUA_OK);
  CHECK_EQ(lua_gettop(co), 0);
  CHECK_EQ(lua_getglobal(L, "closed"), LUA_TBOOLEAN);
  CHECK_EQ(lua_getglobal(L, "after"), LUA_TNIL);
  lua_close(L);
}

static void what_closes_itself_can_fail(void)
{
  lua_State *L = new_state(), *co;
  if (!UJ_INSIDE_CLOSES_ITSELF) {
    lua_close(L);
    return;
  }
  co = resume_script(
      L,
      "local x <close> = setmetatable({}, { __close = function()\n"
      "  error('of closing', 0)\n"
      "end })\n"
      "pcall(coroutine.close)",
      LUA_ERRRUN);
  CHECK_STR(lua_tostring(co, -1), "of closing");
  lua_close(L);
}

static void the_main_coroutine_cannot_close_itself(void)
{
  lua_State *L = new_state();
  if (UJ_INSIDE_CLOSES_ITSELF)
    run(L, "assert(not pcall(coroutine.close))");
  lua_close(L);
}

/* ---- blocks -------------------------------------------------------------- */

static struct {
  const void *block;
  size_t size;
} last_freed;

static void *note_free(void *unused, void *block, size_t old_size,
                       size_t new_size)
{
  (void)unused;
  if (new_size > 0)
    return realloc(block, new_size);
  if (block != NULL) {
    last_freed.block = block;
    last_freed.size = old_size;
  }
  free(block);
  return NULL;
}

/* `main` may have been freed: it is only compared. */
static void the_state_is_freed_last(void)
{
  lua_State *L = uj_inside_newstate(note_free, NULL);
  uintptr_t main = (uintptr_t)L;
  luaL_openlibs(L);
  lua_newthread(L);
  run(L, "for i = 1, 100 do local t = { {} } end");
  CHECK(!uj_inside_is_state(last_freed.block, last_freed.size,
                            (const lua_State *)main));
  lua_close(L);
  CHECK(uj_inside_is_state(last_freed.block, last_freed.size,
                           (const lua_State *)main));
}

/* ---- the layout of a coroutine ------------------------------------------- */

static bool is_64_bit(void)
{
  return sizeof(void *) == 8;
}

static uintptr_t word(const lua_State *co, int which)
{
  const void *words[UJ_INSIDE_CO_WORDS];
  uj_inside_read_words(co, words);
  return (uintptr_t)words[which];
}

static void a_word_is_the_top_of_the_stack(void)
{
  lua_State *L = new_state(), *co = lua_newthread(L);
  uintptr_t slot, empty = word(co, UJ_INSIDE_CO_TOP);
  if (!is_64_bit())
    return;
  lua_pushinteger(co, 1);
  slot = word(co, UJ_INSIDE_CO_TOP) - empty;
  CHECK(slot >= sizeof(lua_Integer) && slot <= 4 * sizeof(lua_Integer));
  lua_pushinteger(co, 2);
  CHECK_EQ(word(co, UJ_INSIDE_CO_TOP), empty + 2 * slot);
  lua_settop(co, 0);
  CHECK_EQ(word(co, UJ_INSIDE_CO_TOP), empty);
  CHECK_EQ(word(co, UJ_INSIDE_CO_STACK), empty - slot);
  lua_close(L);
}

static void a_word_is_the_stack(void)
{
  enum { MANY = 100000 };
  lua_State *L = new_state(), *co = lua_newthread(L);
  uintptr_t before = word(co, UJ_INSIDE_CO_STACK);
  uintptr_t used = word(co, UJ_INSIDE_CO_TOP) - before;
  if (!is_64_bit())
    return;
  CHECK(lua_checkstack(co, MANY));
  CHECK(word(co, UJ_INSIDE_CO_STACK) != before);
  CHECK_EQ(word(co, UJ_INSIDE_CO_TOP) - word(co, UJ_INSIDE_CO_STACK), used);
  lua_close(L);
}

/* A call begins with the place of its function on the stack. */
static int check_call(lua_State *L)
{
  uintptr_t function, call = word(L, UJ_INSIDE_CO_CALL);
  memcpy(&function, (const void *)call, sizeof(function));
  CHECK(function >= word(L, UJ_INSIDE_CO_STACK));
  CHECK(function < word(L, UJ_INSIDE_CO_TOP));
  CHECK(call < (uintptr_t)L || call >= (uintptr_t)L + UJ_INSIDE_CO_SIZE);
  return 0;
}

static void a_word_is_the_innermost_call(void)
{
  if (is_64_bit())
    run_with(check_call, "coroutine.wrap(probe)(1, 2)");
}

static size_t last_size;

static void *note_size(void *unused, void *block, size_t old_size,
                       size_t new_size)
{
  (void)unused;
  if (block == NULL && old_size == LUA_TTHREAD)
    last_size = new_size;
  if (new_size > 0)
    return realloc(block, new_size);
  free(block);
  return NULL;
}

static void a_coroutine_is_about_as_large(void)
{
  enum { CACHE_LINE = 64 };
  lua_State *L = uj_inside_newstate(note_size, NULL);
  lua_newthread(L);
  if (!is_64_bit())
    return;
  CHECK(last_size >= UJ_INSIDE_CO_SIZE);
  CHECK(last_size < UJ_INSIDE_CO_SIZE + CACHE_LINE);
  lua_close(L);
}

int main(void)
{
  static const struct check_test tests[] = {
      {"pcall has one value below what it calls", pcall_has_one_value_below},
      {"xpcall has three values below, the second of which is the handler",
       xpcall_has_its_handler_below},
      {"a handler that takes the place of another is called",
       a_replaced_handler_is_called},
      {"a vararg function has its arguments and itself below",
       a_vararg_function_leaves_its_arguments},
      {"what closes variables after an error has them below",
       a_caught_error_leaves_variables_below},
      {"what a block closes is a metamethod called close",
       a_block_names_what_it_closes},
      {"a call knows how many results its caller takes",
       a_call_knows_what_its_caller_takes},
      {"other functions in C take all results", other_functions_in_c_take_all},
      {"what lua_call() takes is known", what_lua_call_takes_is_known},
      {"a continuation knows how many results are taken",
       a_continuation_knows_it},
      {"a hook hears of the count before the line",
       the_count_comes_before_the_line},
      {"a finalizer is known, in whatever coroutine", a_finalizer_is_known},
      {"a coroutine inherits the hook of the one that makes it",
       a_coroutine_inherits_the_hook},
      {"a suspended coroutine is closed and emptied",
       a_suspended_coroutine_is_emptied},
      {"an error of closing is left on the stack", an_error_of_closing_is_left},
      {"a failed coroutine closes its variables with its error",
       a_failed_coroutine_closes_with_its_error},
      {"a coroutine that closes itself leaves everything that runs in it",
       what_closes_itself_leaves_everything},
      {"a coroutine that closes itself fails by what it closes",
       what_closes_itself_can_fail},
      {"the main coroutine cannot close itself",
       the_main_coroutine_cannot_close_itself},
      {"the block with the main coroutine in it is freed last",
       the_state_is_freed_last},
      {"a word of a coroutine is the top of its stack",
       a_word_is_the_top_of_the_stack},
      {"a word of a coroutine is its stack", a_word_is_the_stack},
      {"a word of a coroutine is its innermost call",
       a_word_is_the_innermost_call},
      {"a coroutine is about as large as we think",
       a_coroutine_is_about_as_large},
  };
  return CHECK_RUN(tests);
}
