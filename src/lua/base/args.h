/* Checks of what users pass. Every message names the function, the argument
 * (counted without self), what was expected and what came. */
#ifndef UJ_LUA_ARGS_H
#define UJ_LUA_ARGS_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* What a function is called, and how many values stand before its first
 * argument on the stack: 1 for a method, 0 else. */
struct uj_callee {
  const char *name;
  int self;
};

/* The type as people call it: with the name of a userdata's metatable. */
const char *uj_arg_typename(lua_State *L, int idx);

/* The functions that are _Noreturn have a result so that a C function can say
 * `return uj_arg_error(...)`, as it does with lua_error(). */

/* Raises "bad argument #n to 'name' (message)". */
_Noreturn int uj_arg_error(lua_State *L, const struct uj_callee *callee,
                           int idx, const char *message);
/* Raises "... (expected expected, got type)". */
_Noreturn int uj_arg_typeerror(lua_State *L, const struct uj_callee *callee,
                               int idx, const char *expected);
/* Raises "bad self to 'name' (type expected, got other)". */
_Noreturn int uj_arg_selferror(lua_State *L, const char *name,
                               const char *type);

void uj_arg_function(lua_State *L, const struct uj_callee *callee, int idx);

/* A duration in seconds, as nanoseconds, rounded up. */
uint64_t uj_arg_seconds(lua_State *L, const struct uj_callee *callee, int idx);
/* The same; `absent_ns` for nil or no value. */
uint64_t uj_arg_opt_seconds(lua_State *L, const struct uj_callee *callee,
                            int idx, uint64_t absent_ns);

/* [-0, +(0|n), m] Pushes what is wrong with a value that should be a duration;
 * or returns NULL. */
const char *uj_arg_push_wrong_seconds(lua_State *L, int idx);

struct uj_options;

/* An integer >= min, or math.huge: UINT64_MAX. */
uint64_t uj_arg_count(lua_State *L, const struct uj_callee *callee, int idx,
                      lua_Integer min);
/* [-0, +1, -] Pushes what uj_arg_count() reads. */
void uj_arg_push_count(lua_State *L, uint64_t count);

/* One key of an options table, and what takes its value: at the top of the
 * stack, to be left there. It raises by uj_option_error(). */
struct uj_option {
  const char *name;
  void (*take)(lua_State *L, const struct uj_options *options, void *into);
};

/* The table of options being read. */
struct uj_options {
  const struct uj_callee *callee;
  int idx;
  const char *name;              /* of the option being read */
  const struct uj_option *known; /* ends with a NULL name */
};

/* Reads all options of a table; raises for an unknown key. */
void uj_options_read(lua_State *L, const struct uj_callee *callee, int idx,
                     const struct uj_option *known, void *into);

/* Raises "... (option 'name': expected expected, got value)". */
_Noreturn int uj_option_error(lua_State *L, const struct uj_options *options,
                              const char *expected);
uint64_t uj_option_seconds(lua_State *L, const struct uj_options *options);
bool uj_option_boolean(lua_State *L, const struct uj_options *options);
/* A string without a zero in it; "" for every other value. */
const char *uj_option_word(lua_State *L);
/* A duration > 0, or math.huge: UINT64_MAX. */
uint64_t uj_option_slice(lua_State *L, const struct uj_options *options);
/* An integer >= min, or math.huge: UINT64_MAX. */
uint64_t uj_option_count(lua_State *L, const struct uj_options *options,
                         lua_Integer min);

/* For Lua: (key, options) the name of the option that is most like the key. */
int uj_arg_nearest(lua_State *L);

#endif
