#include "lua/drive/options.h"

#include <math.h>
#include <string.h>

#include "loop/monitor.h"
#include "loop/signals.h"
#include "loop/task.h"
#include "lua/api/date.h"
#include "lua/engine/hook.h"
#include "lua/engine/stretch.h"
#include "lua/measure/times.h"

void uj_drive_options_init(struct uj_drive_options *options)
{
  options->mode = UJ_INTERRUPT_SIGNAL;
  options->signal = uj_poke_signal();
  options->slow_ns = UJ_NEVER;
  options->never_slow = false;
  options->timed = false;
  options->shuffles = false;
  options->seed = 0;
  options->inspect = (struct uj_inspecting_options){0};
}

/* [-0, +0, v] The set of the signals that the list on the top names. */
static unsigned read_list(lua_State *L, const struct uj_options_table *options)
{
  unsigned set = UJ_SIGNALS_NONE, bit;
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1), i = 0;
  lua_pushnil(L);
  for (; lua_next(L, -2) != 0; lua_pop(L, 1), i++) {
    bit = uj_signals_named(uj_option_word(L));
    if (bit == 0 || !lua_isinteger(L, -2))
      uj_option_error(L, options,
                      "list of 'SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', "
                      "'SIGUSR1' and 'SIGUSR2'");
    set |= bit;
  }
  if (i != n)
    uj_option_error(L, options, "list without holes");
  return set;
}

static void take_signals(lua_State *L, const struct uj_options_table *options,
                         void *into)
{
  unsigned *set = &((struct uj_run_options *)into)->signals;
  if (lua_istable(L, -1))
    *set = read_list(L, options);
  else if (lua_isboolean(L, -1))
    *set = lua_toboolean(L, -1) ? UJ_SIGNALS_DEFAULT : UJ_SIGNALS_NONE;
  else
    uj_option_error(L, options, "boolean or list of names like 'SIGTERM'");
}

static void take_dump(lua_State *L, const struct uj_options_table *options,
                      void *into)
{
  struct uj_run_options *self = into;
  bool is_off = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
  self->dumps = is_off ? UJ_SIGNALS_NONE : uj_signals_named(uj_option_word(L));
  if (self->dumps == UJ_SIGNALS_NONE && !is_off)
    uj_option_error(L, options, "false or the name of a signal like 'SIGQUIT'");
}

static void take_clock(lua_State *L, const struct uj_options_table *options,
                       void *into)
{
  const char *value = uj_option_word(L);
  bool is_virtual = strcmp(value, "virtual") == 0;
  if (!is_virtual && strcmp(value, "real") != 0)
    uj_option_error(L, options, "'real' or 'virtual'");
  ((struct uj_run_options *)into)->is_virtual = is_virtual;
}

static void take_date(lua_State *L, const struct uj_options_table *options,
                      void *into)
{
  struct uj_run_options *self = into;
  if (lua_type(L, -1) != LUA_TNUMBER || !uj_date_is_good(lua_tonumber(L, -1)))
    uj_option_error(L, options, "seconds since 1970, up to the year 2199");
  self->date_ns = uj_date_from_seconds(lua_tonumber(L, -1));
  self->has_date = true;
}

static void take_seed(lua_State *L, const struct uj_options_table *options,
                      void *into)
{
  struct uj_run_options *self = into;
  int is_integer;
  self->random = (uint64_t)lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || lua_type(L, -1) != LUA_TNUMBER)
    uj_option_error(L, options, "integer");
  self->has_random = true;
}

static void take_work_threads(lua_State *L,
                              const struct uj_options_table *options,
                              void *into)
{
  int is_integer;
  lua_Integer n = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || lua_type(L, -1) != LUA_TNUMBER || n < 1 ||
      n > UJ_TASKS_MOST_THREADS)
    uj_option_error(L, options, "integer from 1 to 1024");
  ((struct uj_run_options *)into)->threads = (unsigned)n;
}

static void take_close_timeout(lua_State *L,
                               const struct uj_options_table *options,
                               void *into)
{
  bool is_unlimited =
      lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) == HUGE_VAL;
  ((struct uj_run_options *)into)->close_ns =
      is_unlimited ? UJ_NEVER : uj_option_seconds(L, options);
}

static void take_timeslice(lua_State *L, const struct uj_options_table *options,
                           void *into)
{
  ((struct uj_run_options *)into)->slice_ns = uj_option_slice(L, options);
}

static void take_stats(lua_State *L, const struct uj_options_table *options,
                       void *into)
{
  struct uj_run_options *self = into;
  self->loop.timed = uj_option_boolean(L, options);
  self->of_loop = options->name;
}

static void take_slow(lua_State *L, const struct uj_options_table *options,
                      void *into)
{
  struct uj_run_options *self = into;
  if (lua_type(L, -1) != LUA_TNUMBER &&
      (!lua_isboolean(L, -1) || lua_toboolean(L, -1)))
    uj_option_error(L, options, "seconds >= 0 or false");
  self->loop.never_slow = lua_isboolean(L, -1);
  self->loop.slow_ns =
      self->loop.never_slow ? UJ_NEVER : uj_option_finite_seconds(L, options);
  self->of_loop = options->name;
}

static void take_interrupt(lua_State *L, const struct uj_options_table *options,
                           void *into)
{
  struct uj_run_options *self = into;
  const char *value = uj_option_word(L);
  self->of_loop = options->name;
  self->loop.signal = uj_poke_signal_named(value);
  if (self->loop.signal != 0)
    self->loop.mode = UJ_INTERRUPT_SIGNAL;
  else if (strcmp(value, "count") == 0)
    self->loop.mode = UJ_INTERRUPT_COUNT;
  else if (strcmp(value, "none") == 0)
    self->loop.mode = UJ_INTERRUPT_NONE;
  else
    uj_option_error(L, options,
                    "the name of a signal like 'SIGURG', 'count' or 'none'");
}

static void take_shuffle(lua_State *L, const struct uj_options_table *options,
                         void *into)
{
  struct uj_run_options *self = into;
  int is_integer;
  self->loop.seed = (uint64_t)lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || lua_type(L, -1) != LUA_TNUMBER)
    uj_option_error(L, options, "integer");
  self->loop.shuffles = true;
  self->of_loop = options->name;
}

static void take_control(lua_State *L, const struct uj_options_table *options,
                         void *into)
{
  ((struct uj_inspecting_options *)into)->control =
      uj_option_boolean(L, options);
}

static void take_values(lua_State *L, const struct uj_options_table *options,
                        void *into)
{
  ((struct uj_inspecting_options *)into)->values =
      uj_option_boolean(L, options);
}

static void take_socket(lua_State *L, const struct uj_options_table *options,
                        void *into)
{
  ((struct uj_inspecting_options *)into)->at_once =
      uj_option_boolean(L, options);
}

/* Reads the table on the top, which is the value of an option of the table at
 * 1. */
static void read_inspect(lua_State *L, const struct uj_options_table *options,
                         struct uj_inspecting_options *into)
{
  static const struct uj_option known[] = {{"control", take_control},
                                           {"values", take_values},
                                           {"socket", take_socket},
                                           {NULL, NULL}};
  struct uj_callee callee = {options->callee->name, lua_gettop(L) - 1};
  uj_options_read(L, &callee, lua_gettop(L), known, into);
}

static void take_inspect(lua_State *L, const struct uj_options_table *options,
                         void *into)
{
  struct uj_run_options *self = into;
  self->of_loop = options->name;
  self->loop.inspect = (struct uj_inspecting_options){0};
  if (lua_istable(L, -1)) {
    read_inspect(L, options, &self->loop.inspect);
  } else if (lua_isboolean(L, -1)) {
    self->loop.inspect.off = !lua_toboolean(L, -1);
    self->loop.inspect.at_once = !self->loop.inspect.off;
  } else if (strcmp(uj_option_word(L), "demand") != 0) {
    uj_option_error(L, options, "boolean, 'demand' or table");
  }
}

/* start() only */
static void take_timeout(lua_State *L, const struct uj_options_table *options,
                         void *into)
{
  ((struct uj_run_options *)into)->timeout_ns = uj_option_seconds(L, options);
}

/* The name is only checked here: start() takes it from the table when there is
 * a job that gets it. */
static void take_name(lua_State *L, const struct uj_options_table *options,
                      void *into)
{
  (void)into;
  if (lua_type(L, -1) != LUA_TSTRING)
    uj_option_error(L, options, "string");
}

/* A signal asks for one thing: it ends the run, or asks for a dump, or
 * interrupts jobs. */
static void check_signals(lua_State *L, const struct uj_callee *callee,
                          const struct uj_run_options *options)
{
  unsigned both = options->signals & options->dumps;
  if (both != UJ_SIGNALS_NONE)
    uj_arg_error(L, callee, 1,
                 "options 'signals' and 'dump' cannot both have a signal");
  if (options->loop.mode == UJ_INTERRUPT_SIGNAL &&
      uj_signals_has(options->dumps, options->loop.signal))
    uj_arg_error(L, callee, 1,
                 "options 'dump' and 'interrupt' cannot both have a signal");
  if (options->loop.mode == UJ_INTERRUPT_SIGNAL &&
      uj_signals_has(options->signals, options->loop.signal))
    uj_arg_error(L, callee, 1,
                 lua_pushfstring(L,
                                 "options 'signals' and 'interrupt' cannot "
                                 "both have '%s'",
                                 uj_signals_name(options->loop.signal)));
}

void uj_drive_options_read_run(lua_State *L, const struct uj_callee *callee,
                               struct uj_run_options *options)
{
  static const struct uj_option known[] = {
      {"signals", take_signals},
      {"clock", take_clock},
      {"date", take_date},
      {"seed", take_seed},
      {"timeslice", take_timeslice},
      {"slow", take_slow},
      {"stats", take_stats},
      {"interrupt", take_interrupt},
      {"shuffle", take_shuffle},
      {"close_timeout", take_close_timeout},
      {"dump", take_dump},
      {"inspect", take_inspect},
      {"work_threads", take_work_threads},
      {NULL, NULL},
  };
  uj_options_read(L, callee, 1, known, options);
  if (options->has_date && !options->is_virtual)
    uj_arg_error(L, callee, 1, "option 'date' needs the virtual clock");
  check_signals(L, callee, options);
}

void uj_drive_options_read_start(lua_State *L, const struct uj_callee *callee,
                                 struct uj_run_options *options)
{
  static const struct uj_option known[] = {
      {"name", take_name},
      {"timeout", take_timeout},
      {"timeslice", take_timeslice},
      {"slow", take_slow},
      {"stats", take_stats},
      {"interrupt", take_interrupt},
      {"shuffle", take_shuffle},
      {"inspect", take_inspect},
      {NULL, NULL},
  };
  uj_options_read(L, callee, 1, known, options);
}

void uj_drive_options_apply(struct uj_state *S,
                            const struct uj_drive_options *options)
{
  S->hook->mode = options->mode;
  S->watch.poke.signal = options->signal;
  S->stretch->slow_ns = options->slow_ns;
  S->stretch->never_slow = options->never_slow;
  uj_times_use(S, UJ_METER_STATS, options->timed);
  S->loop.shuffles = options->shuffles;
  S->loop.seed = options->seed;
  S->inspecting->options = options->inspect;
}
