/* Tables of options that users pass. A function lists the options that it
 * knows, each with what takes its value; an unknown option is an error that
 * names the nearest known one. */
#ifndef UJ_LUA_BASE_OPTIONS_H
#define UJ_LUA_BASE_OPTIONS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "lua/base/args.h"

/* The table that is being read. */
struct uj_options_table {
  const struct uj_callee *callee;
  int idx;                       /* of the table, for messages */
  const char *name;              /* of the option that is being read */
  const struct uj_option *known; /* the list ends with a NULL name */
};

/* A known option. take() finds the value on the top of the stack, leaves it
 * there, and stores what it means in `into`. It uses the functions below, which
 * raise when the value is wrong. */
struct uj_option {
  const char *name;
  void (*take)(lua_State *L, const struct uj_options_table *options,
               void *into);
};

/* Reads all options of the table at idx; raises for an unknown one. */
void uj_options_read(lua_State *L, const struct uj_callee *callee, int idx,
                     const struct uj_option *known, void *into);

/* Raises "... (option 'name': expected expected, got value)". */
_Noreturn int uj_option_error(lua_State *L,
                              const struct uj_options_table *options,
                              const char *expected);

/* A duration >= 0 in nanoseconds; or math.huge, which is UJ_NEVER. */
uint64_t uj_option_seconds(lua_State *L,
                           const struct uj_options_table *options);
/* The same, but finite. */
uint64_t uj_option_finite_seconds(lua_State *L,
                                  const struct uj_options_table *options);
/* A duration > 0; or math.huge, which is UJ_NEVER. */
uint64_t uj_option_slice(lua_State *L, const struct uj_options_table *options);
/* An integer >= min; or math.huge, which is UINT64_MAX. */
uint64_t uj_option_count(lua_State *L, const struct uj_options_table *options,
                         lua_Integer min);
bool uj_option_boolean(lua_State *L, const struct uj_options_table *options);
/* A string without a zero in it; "" for every other value. */
const char *uj_option_word(lua_State *L);

#endif
