#include "lua/api/histogram.h"

#include <string.h>

#include "lua/base/args.h"
#include "lua/base/object.h"
#include "lua/state/state.h"
#include "measure/histogram.h"

#define HISTOGRAM_TYPE "uvjobs.Histogram"

static const char histogram_tag[] = HISTOGRAM_TYPE;

struct lhistogram {
  struct uj_object object;
  bool collected;
  struct uj_histogram core;
};

static struct lhistogram *check_self(lua_State *L, const char *name)
{
  return uj_object_self(L, histogram_tag, name);
}

/* [-0, +1, m] Pushes an empty one. */
static struct lhistogram *push_new(lua_State *L)
{
  struct lhistogram *self = lua_newuserdatauv(L, sizeof(*self), 0);
  self->object.tag = histogram_tag;
  self->collected = false;
  uj_histogram_init(&self->core);
  luaL_setmetatable(L, HISTOGRAM_TYPE);
  return self;
}

static void merge(lua_State *L, struct lhistogram *self,
                  const struct uj_histogram *other)
{
  void *context;
  lua_Alloc alloc = lua_getallocf(L, &context);
  if (self->collected)
    return;
  if (!uj_histogram_merge(&self->core, other, alloc, context))
    luaL_error(L, "not enough memory");
}

void uj_lhistogram_push(lua_State *L, const struct uj_histogram *histogram)
{
  merge(L, push_new(L), histogram);
}

static int l_histogram(lua_State *L)
{
  push_new(L);
  return 1;
}

/* Another finalizer can make it reachable again. Then it takes nothing more: it
 * is not finalized a second time, so its memory would never be freed. */
static int histogram_gc(lua_State *L)
{
  struct lhistogram *self = uj_object_to(L, 1, histogram_tag);
  void *context;
  lua_Alloc alloc = lua_getallocf(L, &context);
  if (self == NULL)
    return 0;
  uj_histogram_term(&self->core, alloc, context);
  self->collected = true;
  return 0;
}

/* The argument at index 2, which is a number from 0 on; of what is not finite,
 * only infinity is taken. */
static double check_number(lua_State *L, const struct uj_callee *callee,
                           const char *expected)
{
  double value;
  if (lua_type(L, 2) != LUA_TNUMBER)
    uj_arg_typeerror(L, callee, 2, expected);
  value = lua_tonumber(L, 2);
  if (!(value >= 0))
    uj_arg_error(L, callee, 2,
                 lua_pushfstring(L, "%s expected, got %s", expected,
                                 uj_arg_push_got(L, 2)));
  return value;
}

static int histogram_record(lua_State *L)
{
  static const struct uj_callee callee = {"record", 1};
  struct lhistogram *self = check_self(L, callee.name);
  double seconds = check_number(L, &callee, "seconds >= 0");
  void *context;
  lua_Alloc alloc = lua_getallocf(L, &context);
  if (!self->collected &&
      !uj_histogram_record(&self->core, seconds, alloc, context))
    return luaL_error(L, "not enough memory");
  return 0;
}

static int histogram_merge(lua_State *L)
{
  static const struct uj_callee callee = {"merge", 1};
  struct lhistogram *self = check_self(L, callee.name);
  const struct lhistogram *other = uj_object_to(L, 2, histogram_tag);
  if (other == NULL)
    return uj_arg_typeerror(L, &callee, 2, HISTOGRAM_TYPE);
  merge(L, self, &other->core);
  return 0;
}

static int histogram_halve(lua_State *L)
{
  uj_histogram_halve(&check_self(L, "halve")->core);
  return 0;
}

static bool push_property(lua_State *L, const void *object, const char *key)
{
  const struct uj_histogram *core = &((const struct lhistogram *)object)->core;
  if (strcmp(key, "count") == 0)
    lua_pushinteger(L, (lua_Integer)core->count);
  else if (strcmp(key, "sum") == 0)
    lua_pushnumber(L, core->sum_s);
  else if (strcmp(key, "mean") == 0)
    lua_pushnumber(L, core->count > 0 ? core->sum_s / (double)core->count : 0);
  else if (strcmp(key, "max") == 0)
    lua_pushnumber(L, core->max_s);
  else
    return false;
  return true;
}

static int histogram_quantile(lua_State *L)
{
  static const struct uj_callee callee = {"quantile", 1};
  const struct lhistogram *self = check_self(L, callee.name);
  double q = check_number(L, &callee, "number from 0 to 1");
  lua_pushnumber(L, uj_histogram_quantile(&self->core, q));
  return 1;
}

static int histogram_size(lua_State *L)
{
  const struct uj_histogram *core = &check_self(L, "size")->core;
  lua_pushinteger(L, (lua_Integer)sizeof(*core) +
                         (lua_Integer)uj_histogram_size(core));
  return 1;
}

void uj_lhistogram_register(lua_State *L)
{
  static const luaL_Reg methods[] = {
      {"record", histogram_record}, {"merge", histogram_merge},
      {"halve", histogram_halve},   {"quantile", histogram_quantile},
      {"size", histogram_size},     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", histogram_gc}, {NULL, NULL}};
  static const char *const properties[] = {"count", "sum", "mean", "max", NULL};
  static const struct uj_type type = {.tag = histogram_tag,
                                      .methods = methods,
                                      .meta = meta,
                                      .property = push_property,
                                      .properties = properties};
  uj_object_register(L, &type);
}

const luaL_Reg uj_lhistogram_internals[] = {{"histogram", l_histogram},
                                            {NULL, NULL}};
